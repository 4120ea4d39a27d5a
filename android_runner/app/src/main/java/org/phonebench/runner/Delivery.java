package org.phonebench.runner;

import android.content.Context;
import android.util.Base64;
import android.util.Log;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.zip.GZIPOutputStream;
import org.phonebench.runner.core.Digest;
import org.phonebench.runner.core.ReplyWriter;
import org.phonebench.runner.core.RunReply;

/**
 * Hands the reply to the host in more than one way. Which of them the host can use depends on the phone: some makers
 * keep the provider from starting in the background.
 *
 * <p>The first way is the job's own folder, which the provider reads. The second is the app's folder on shared storage,
 * which the adb shell reads. The last is the log, if neither can be written or the host asks for it. A game loop has
 * one more, before them: the file that whoever started it gives.
 */
final class Delivery {
    /** logd cuts entries at about 4,000 bytes. */
    static final int PART = 3_000;
    /** The main log of a phone holds 256 KB by default. */
    static final int MOST_PARTS = 40;

    private final Context context;
    private final Path folder;
    private final Launch launch;

    Delivery(Context context, Path folder, Launch launch) {
        this.context = context;
        this.folder = folder;
        this.launch = launch;
    }

    void hand(RunReply reply) {
        if (launch.loop() != null) {
            launch.loop().hand(reply, folder);
        }
        boolean inside = inOwnFolder(reply);
        boolean shared = onSharedStorage(reply);
        if (launch.log() || (!inside && !shared)) {
            inLog(reply);
        }
        Log.i(RunnerActivity.TAG, "replied to " + launch.job() + ": " + reply.status());
    }

    private boolean inOwnFolder(RunReply reply) {
        try {
            Files.createDirectories(folder);
            ReplyWriter.write(folder, reply);
            return true;
        } catch (IOException | RuntimeException error) {
            Log.e(RunnerActivity.TAG, "cannot write the reply of " + launch.job(), error);
            return false;
        }
    }

    private boolean onSharedStorage(RunReply reply) {
        try {
            File files = context.getExternalFilesDir(null);
            if (files == null) {
                return false;
            }
            Path jobs = files.toPath().resolve(Jobs.FOLDER);
            Path mine = jobs.resolve(launch.job());
            // The host cannot remove them on every phone. The launches of a game loop are fetched together.
            if (launch.loop() == null) {
                Jobs.delete(jobs);
            }
            Files.createDirectories(mine);
            if (launch.loop() != null) {
                launch.loop().write(reply, folder, mine);
                return true;
            }
            if (reply.results().outputs() != null) {
                String outputs = reply.results().outputs().file();
                Files.copy(folder.resolve(outputs), mine.resolve(outputs), StandardCopyOption.REPLACE_EXISTING);
            }
            ReplyWriter.write(mine, reply);
            return true;
        } catch (IOException | RuntimeException error) {
            Log.w(RunnerActivity.TAG, "cannot write the reply to shared storage", error);
            return false;
        }
    }

    private void inLog(RunReply reply) {
        try {
            byte[] json = json(reply.withoutOutputs());
            String data = Base64.encodeToString(compressed(json), Base64.NO_WRAP);
            int parts = (data.length() + PART - 1) / PART;
            if (parts > MOST_PARTS) {
                Log.e(RunnerActivity.TAG, "the reply of " + launch.job() + " is too long for the log");
                return;
            }
            String sha256 = Digest.of(json);
            for (int part = 0; part < parts; part++) {
                String text = data.substring(part * PART, Math.min(data.length(), (part + 1) * PART));
                Log.i(RunnerActivity.TAG,
                    "reply " + launch.job() + " " + (part + 1) + "/" + parts + " " + sha256 + " " + text);
            }
        } catch (IOException | RuntimeException error) {
            Log.e(RunnerActivity.TAG, "cannot log the reply of " + launch.job(), error);
        }
    }

    private static byte[] json(RunReply reply) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (Writer writer = new OutputStreamWriter(bytes, StandardCharsets.UTF_8)) {
            ReplyWriter.write(writer, reply);
        }
        return bytes.toByteArray();
    }

    private static byte[] compressed(byte[] data) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(data);
        }
        return bytes.toByteArray();
    }
}
