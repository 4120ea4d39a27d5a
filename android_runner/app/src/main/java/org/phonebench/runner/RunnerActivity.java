package org.phonebench.runner;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.os.Process;
import android.util.Log;
import android.view.WindowManager;
import android.widget.TextView;

/**
 * Runs one job and ends.
 *
 * <p>It runs in the foreground with the screen on, because Android gives background apps the slow cores. The system may
 * make an activity again, in this process or in a new one. A job is measured once all the same.
 */
public class RunnerActivity extends Activity {
    static final String TAG = "phonebench";

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        TextView status = new TextView(this);
        setContentView(status);
        RunnerApp app = (RunnerApp) getApplication();
        if (app.measurement() == null && !begin(app)) {
            end();
            return;
        }
        status.setText("phonebench is measuring: " + app.measurement().job());
        app.measurement().shownBy(this);
    }

    /** Begin the measurement; false if there is none to begin. */
    private boolean begin(RunnerApp app) {
        Jobs.clearPlainFiles(this);
        try {
            Launch launch = launch();
            if (!Measurement.claim(this, launch.job())) {
                Log.w(TAG, "ignored " + launch.job() + ": it was begun by a process that ended");
                return false;
            }
            app.begin(new Measurement(this, launch));
            return true;
        } catch (IllegalArgumentException error) {
            // Without the name of a job there is no place for a reply. The host finds this message in the log.
            Log.e(TAG, String.valueOf(error.getMessage()));
            return false;
        }
    }

    /** The launch that this activity was started for. Throws {@link IllegalArgumentException} if there is none. */
    Launch launch() {
        return Launch.of(getIntent());
    }

    /** Ignore a second launch. The host restarts the app for each launch, and two at once would disturb each other. */
    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        Log.w(TAG, "ignored a launch while another one is running: start it with am start -S");
    }

    /** End the process. What a runtime leaves in memory must not be in the baseline of the next launch. */
    protected void endProcess() {
        Process.killProcess(Process.myPid());
    }

    void end() {
        finishAndRemoveTask();
        endProcess();
    }
}
