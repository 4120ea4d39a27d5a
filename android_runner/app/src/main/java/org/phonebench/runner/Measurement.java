package org.phonebench.runner;

import android.content.Context;
import android.content.pm.ApplicationInfo;
import android.content.pm.PackageManager;
import android.os.Build;
import android.util.Log;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.ServiceLoader;
import java.util.concurrent.atomic.AtomicBoolean;
import org.phonebench.runner.core.Affinity;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.JobRunner;
import org.phonebench.runner.core.LibraryPages;
import org.phonebench.runner.core.ReplyWriter;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.TrustedKey;

/**
 * The measurement of one job, in a separate thread: Android would report a long call on the main thread as a hang.
 *
 * <p>Whatever is thrown becomes a reply, also by a thread of a runtime. The process ends after the reply.
 */
final class Measurement {
    static final String KIND = "android-app";

    private static final String TASKSET = "/system/bin/taskset";

    private final Context context;
    private final Launch launch;
    private final JobPlace place;
    private final JobRunner runner;
    private final AtomicBoolean replied = new AtomicBoolean();
    private final Thread worker = new Thread(this::run, "phonebench-worker");
    private volatile RunnerActivity shown;

    Measurement(RunnerActivity shown, Launch launch) {
        this.context = shown.getApplicationContext();
        this.shown = shown;
        this.launch = launch;
        Path folder = Jobs.folder(context, launch.job());
        Path request = launch.request() == null ? folder.resolve(JobPlace.REQUEST) : launch.request();
        this.place = new JobPlace(folder, request, launch.store(), launch.inputs());
        this.runner = new JobRunner(ServiceLoader.load(RuntimeAdapter.class), info(context), new AndroidState(context),
            TrustedKey.bundled(), new PhoneKeystore());
    }

    String job() {
        return launch.job();
    }

    Thread worker() {
        return worker;
    }

    /** Let the measurement end another activity than before: the system has made it again. */
    void shownBy(RunnerActivity activity) {
        shown = activity;
    }

    void start() {
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            reply(runner.failed(place, error));
            // Android's own handler writes the stack to the log and ends the process.
            if (before != null) {
                before.uncaughtException(thread, error);
            }
        });
        worker.start();
    }

    private void run() {
        try {
            Files.createDirectories(place.folder());
            NeuralProcessor.prepare(context);
            if (launch.loop() != null) {
                launch.loop().prepare(place);
            }
            reply(runner.run(place, this::bind, this::keep));
        } catch (Throwable error) {
            // Errors too: a missing class or a full heap is what the host must hear of.
            reply(runner.failed(place, error));
        }
        shown.runOnUiThread(() -> shown.end());
    }

    private void bind() throws RunFailure {
        if (launch.mask() != null) {
            Affinity.bind(launch.mask(), TASKSET);
        }
    }

    /** Write a reply that a later one replaces. If it cannot be written, nothing is lost but this precaution. */
    private void keep(RunReply reply) {
        try {
            ReplyWriter.write(place.folder(), reply);
        } catch (IOException error) {
            Log.w(RunnerActivity.TAG, "cannot keep what was measured so far", error);
        }
    }

    private void reply(RunReply reply) {
        if (replied.compareAndSet(false, true)) {
            new Delivery(context, place.folder(), launch).hand(reply);
        }
    }

    /** Mark a job as begun; false if it was begun before, in this process or in one that ended. */
    static boolean claim(Context context, String job) {
        Path folder = Jobs.folder(context, job);
        try {
            Files.createDirectories(folder);
            Files.createFile(folder.resolve("begun"));
            return true;
        } catch (FileAlreadyExistsException again) {
            return false;
        } catch (IOException error) {
            // A full disk must become a reply, which the measurement itself writes.
            Log.w(RunnerActivity.TAG, "cannot mark the job as begun", error);
            return true;
        }
    }

    /** What this app is. Facts that the system does not tell are left out: a reply says more than none. */
    private static RunReply.Runner info(Context context) {
        ApplicationInfo app = context.getApplicationInfo();
        boolean debuggable = (app.flags & ApplicationInfo.FLAG_DEBUGGABLE) != 0;
        String version = "unknown";
        Long pages = null;
        try {
            version = context.getPackageManager().getPackageInfo(context.getPackageName(), 0).versionName;
            if (app.sourceDir != null) {
                pages = LibraryPages.of(Paths.get(app.sourceDir), Arrays.asList(Build.SUPPORTED_ABIS));
            }
        } catch (PackageManager.NameNotFoundException | RuntimeException error) {
            Log.w(RunnerActivity.TAG, "cannot read the facts of this app", error);
        }
        return new RunReply.Runner(KIND, String.valueOf(version), debuggable, pages);
    }
}
