package org.phonebench.runner;

import android.app.Activity;
import android.content.Intent;
import android.content.pm.ApplicationInfo;
import android.content.pm.PackageManager;
import android.os.Build;
import android.os.Bundle;
import android.os.Process;
import android.util.Log;
import android.view.WindowManager;
import android.widget.TextView;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.ServiceLoader;
import org.phonebench.runner.core.Affinity;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.JobRunner;
import org.phonebench.runner.core.LibraryPages;
import org.phonebench.runner.core.ReplyWriter;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RuntimeAdapter;

/**
 * Runs one job and ends.
 *
 * <p>It runs in the foreground with the screen on, because Android gives background apps the slow cores. It measures in
 * a separate thread, because Android would report a long call on the main thread as a hang.
 */
public class RunnerActivity extends Activity {
    static final String KIND = "android-app";

    private static final String TAG = "phonebench";
    private static final String TASKSET = "/system/bin/taskset";

    private Thread worker;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        TextView status = new TextView(this);
        setContentView(status);
        Launch launch;
        try {
            launch = Launch.of(getIntent());
        } catch (IllegalArgumentException error) {
            // Without the name of a job there is no place for a reply. The host finds this message in the log.
            Log.e(TAG, String.valueOf(error.getMessage()));
            end();
            return;
        }
        status.setText("phonebench is measuring: " + launch.job());
        worker = new Thread(() -> measure(launch), "phonebench-worker");
        worker.start();
    }

    /** Ignore a second launch. The host restarts the app for each launch, and two at once would disturb each other. */
    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        Log.w(TAG, "ignored a launch while another one is running: start it with am start -S");
    }

    /** The measuring thread; null if there was nothing to measure. */
    Thread worker() {
        return worker;
    }

    /** End the process. What a runtime leaves in memory must not be in the baseline of the next launch. */
    protected void endProcess() {
        Process.killProcess(Process.myPid());
    }

    private void measure(Launch launch) {
        Path folder = Jobs.folder(this, launch.job());
        try {
            Files.createDirectories(folder);
            Path request = launch.request() == null ? folder.resolve(JobPlace.REQUEST) : launch.request();
            JobPlace place = new JobPlace(folder, request, launch.store(), launch.inputs());
            JobRunner runner =
                new JobRunner(ServiceLoader.load(RuntimeAdapter.class), info(), new AndroidState(this));
            RunReply reply = runner.run(place, () -> {
                if (launch.mask() != null) {
                    Affinity.bind(launch.mask(), TASKSET);
                }
            });
            ReplyWriter.write(folder, reply);
            Log.i(TAG, "replied to " + launch.job() + ": " + reply.status());
        } catch (IOException error) {
            Log.e(TAG, "cannot write the reply of " + launch.job(), error);
        }
        runOnUiThread(this::end);
    }

    private void end() {
        finishAndRemoveTask();
        endProcess();
    }

    private RunReply.Runner info() {
        ApplicationInfo app = getApplicationInfo();
        boolean debuggable = (app.flags & ApplicationInfo.FLAG_DEBUGGABLE) != 0;
        Long pages = app.sourceDir == null ? null
            : LibraryPages.of(Paths.get(app.sourceDir), Arrays.asList(Build.SUPPORTED_ABIS));
        try {
            String version = getPackageManager().getPackageInfo(getPackageName(), 0).versionName;
            return new RunReply.Runner(KIND, String.valueOf(version), debuggable, pages);
        } catch (PackageManager.NameNotFoundException impossible) {
            throw new IllegalStateException("the app cannot find its own package", impossible);
        }
    }
}
