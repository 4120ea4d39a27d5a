package org.phonebench.runner;

import android.util.Log;
import java.io.IOException;
import org.phonebench.runner.core.LoopJob;

/**
 * Runs one launch of a job that is inside the app, as a scenario of a game loop of Firebase Test Lab.
 *
 * <p>Each scenario is one launch. Test Lab starts the activity again for the next one, and finds the process of the one
 * before ended. Only an app that carries a job declares this activity, because any app may start it.
 */
public class TestLoopActivity extends RunnerActivity {
    /** The number of the launch, from 1. */
    static final String SCENARIO = "scenario";

    @Override
    Launch launch() {
        int scenario = getIntent().getIntExtra(SCENARIO, 0);
        try {
            LoopJob.Source source = source();
            LoopJob job = LoopJob.read(source, scenario);
            // The host finds the process of this launch by this line, if the app ends without a result.
            Log.i(TAG, "launch " + job.name());
            Loop loop = new Loop(getApplicationContext(), source, job, getIntent().getData());
            return Launch.of(loop, getFilesDir().toPath());
        } catch (IOException error) {
            throw new IllegalArgumentException("this app carries no launch " + scenario + ": " + error, error);
        }
    }

    /** The files inside the app. */
    protected LoopJob.Source source() {
        return getAssets()::open;
    }
}
