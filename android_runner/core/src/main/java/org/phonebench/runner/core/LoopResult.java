package org.phonebench.runner.core;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;

/** Writes all that a launch leaves as one file, for a phone from which only that file comes back. */
public final class LoopResult {
    /** Its schema, which the host checks. */
    public static final int SCHEMA = 1;
    public static final String FILE = "result.json";

    /** A multiple of three, so that the texts of the blocks can be joined. */
    private static final int BLOCK = 3 << 14;

    private LoopResult() {}

    /**
     * Write the reply, its outputs from {@code folder} if it has any, what the phone is, and which request was run.
     * The stream is flushed and stays open.
     */
    public static void write(OutputStream out, LoopJob job, Map<String, String> device, RunReply reply, Path folder)
            throws IOException {
        Writer text = new BufferedWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8));
        JsonText json = new JsonText(text).open('{');
        json.field("schema", SCHEMA).field("job", job.job()).field("scenario", job.scenario());
        json.field("request_sha256", Digest.of(job.request()));
        json.name("device").open('{');
        for (Map.Entry<String, String> fact : device.entrySet()) {
            json.field(fact.getKey(), fact.getValue());
        }
        json.close('}');
        RunReply.Outputs outputs = reply.results().outputs();
        if (outputs != null) {
            Path file = folder.resolve(outputs.file());
            json.field("outputs_sha256", Digest.sha256(file));
            json.name("outputs");
            base64(text, file);
        }
        json.name("reply");
        ReplyWriter.write(text, reply);
        json.close('}');
        text.flush();
    }

    private static void base64(Writer text, Path file) throws IOException {
        text.write('"');
        byte[] block = new byte[BLOCK];
        try (InputStream in = Files.newInputStream(file)) {
            for (int filled = fill(in, block); filled > 0; filled = fill(in, block)) {
                byte[] whole = filled == BLOCK ? block : Arrays.copyOf(block, filled);
                text.write(Base64.getEncoder().encodeToString(whole));
            }
        }
        text.write('"');
    }

    /** Read until the block is full or the file has ended, and return the number of bytes read. */
    private static int fill(InputStream in, byte[] block) throws IOException {
        int filled = 0;
        while (filled < block.length) {
            int read = in.read(block, filled, block.length - filled);
            if (read < 0) {
                return filled;
            }
            filled += read;
        }
        return filled;
    }
}
