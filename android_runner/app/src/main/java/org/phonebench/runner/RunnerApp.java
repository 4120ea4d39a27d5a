package org.phonebench.runner;

import android.app.Application;

/**
 * The process of a launch. The system may make the activity several times, but it makes this once, so the measurement
 * belongs here.
 */
public final class RunnerApp extends Application {
    private Measurement measurement;

    /** The measurement of this process; null before it has begun. Only for the main thread. */
    Measurement measurement() {
        return measurement;
    }

    /** Begin the measurement of this process. There is only one. */
    void begin(Measurement only) {
        if (measurement != null) {
            throw new IllegalStateException("this process already measures " + measurement.job());
        }
        measurement = only;
        only.start();
    }
}
