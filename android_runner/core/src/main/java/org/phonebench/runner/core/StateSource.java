package org.phonebench.runner.core;

/** Reads the current state of the device. It never fails; facts that cannot be read are null. */
public interface StateSource {
    RunReply.StateSample sample();

    /** The time since the device was switched on, sleep included, in ns; null if it cannot be read. */
    default Long bootNanos() {
        return null;
    }
}
