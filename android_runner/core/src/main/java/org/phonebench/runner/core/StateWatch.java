package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.List;

/** Samples the state of the device once per second in a separate thread, until it is stopped. */
final class StateWatch {
    static final long PERIOD_MS = 1000;

    private final StateSource source;
    private final long periodMs;
    private final List<RunReply.StateSample> series = new ArrayList<>();
    private final Thread thread = new Thread(this::watch, "phonebench-state");

    private StateWatch(StateSource source, long periodMs) {
        this.source = source;
        this.periodMs = periodMs;
    }

    static StateWatch start(StateSource source, long periodMs) {
        StateWatch watch = new StateWatch(source, periodMs);
        watch.thread.setDaemon(true);
        watch.thread.start();
        return watch;
    }

    /** Stop the thread and return its samples. */
    List<RunReply.StateSample> stop() {
        thread.interrupt();
        try {
            thread.join();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        synchronized (series) {
            return new ArrayList<>(series);
        }
    }

    private void watch() {
        try {
            while (true) {
                Thread.sleep(periodMs);
                RunReply.StateSample sample = source.sample();
                synchronized (series) {
                    series.add(sample);
                }
            }
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }
}
