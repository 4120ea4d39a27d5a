package org.phonebench.runner.core;

/** Reads the current state of the device. It never fails; facts that cannot be read are null. */
public interface StateSource {
    RunReply.StateSample sample();
}
