package org.phonebench.runner.core;

import java.util.concurrent.locks.LockSupport;

/** The monotonic clock of the machine. */
final class SystemClock implements LatencyPass.Clock {
    @Override
    public long nanos() {
        return System.nanoTime();
    }

    @Override
    public void sleep(long nanos) {
        long end = System.nanoTime() + nanos;
        for (long left = nanos; left > 0; left = end - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }
}
