package org.phonebench.runner.core;

/** Tells the state of the device now; it never fails, a fact that it cannot find out is null. */
public interface StateSource {
    RunReply.StateSample sample();
}
