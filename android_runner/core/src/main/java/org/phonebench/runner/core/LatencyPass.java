package org.phonebench.runner.core;

import java.nio.file.Path;

/**
 * The latency pass: single calls on input 0, each timed separately, with every sample kept.
 *
 * <p>Nothing but the call happens between the two readings of the clock. The buffers are allocated at the start, before
 * any memory is measured, and grow only between calls.
 */
final class LatencyPass {
    /** The code that is timed. */
    interface Call {
        void invoke() throws RunFailure;
    }

    /** A monotonic clock in ns, and sleeping by it. An interface, so tests can control time. */
    interface Clock {
        long nanos();

        void sleep(long nanos);
    }

    private final RunRequest.Latency request;
    private final Clock clock;
    private final Samples warmup;
    private final Samples measured;
    private final Samples moments;
    private long firstNs;
    private long beganNs;
    private long endedNs;
    private long calls;

    LatencyPass(RunRequest.Latency request, Clock clock, Path scratch) throws RunFailure {
        this.request = request;
        this.clock = clock;
        this.warmup = new Samples(scratch);
        this.measured = new Samples(scratch);
        this.moments = new Samples(scratch);
    }

    /** Time the first call, the warm-up and the measured calls. {@code measure.maxNs} limits each of the two phases. */
    void run(Call call) throws RunFailure {
        System.gc();
        long start = clock.nanos();
        call.invoke();
        firstNs = clock.nanos() - start;
        if (request.warmup().minCalls() > 0 || request.warmup().minNs() > 0) {
            calls(call, request.warmup(), warmup);
        }
        beganNs = clock.nanos();
        calls = request.strideNs() > 0 ? strided(call, request.measure()) : calls(call, request.measure(), measured);
        endedNs = clock.nanos();
    }

    /** The load block of an energy pass: all measured calls, kept or not. */
    RunReply.EnergyBlock load() {
        return new RunReply.EnergyBlock("load", beganNs, endedNs, calls);
    }

    /** The record for the reply. It copies the samples, so call it only after all memory has been measured. */
    RunReply.Latency reply() {
        return new RunReply.Latency(firstNs, warmup.values(), measured.values(), moments.values());
    }

    /** Time calls and keep them all; return how many there were. */
    private long calls(Call call, RunRequest.Limits limits, Samples samples) throws RunFailure {
        long intervalNs = request.intervalNs();
        long began = clock.nanos();
        for (long count = 1; ; count++) {
            long start = clock.nanos();
            call.invoke();
            long end = clock.nanos();
            samples.append(end - start);
            if (met(limits, count, end - began)) {
                return count;
            }
            if (intervalNs > 0) {
                clock.sleep(intervalNs);
            }
        }
    }

    /** Time calls back to back, and keep each that begins at least one stride after the last one kept. */
    private long strided(Call call, RunRequest.Limits limits) throws RunFailure {
        long began = clock.nanos();
        long due = 0;
        for (long count = 1; ; count++) {
            long start = clock.nanos();
            call.invoke();
            long end = clock.nanos();
            if (start - began >= due) {
                measured.append(end - start);
                moments.append(start - began);
                due = start - began + request.strideNs();
            }
            if (met(limits, count, end - began)) {
                return count;
            }
        }
    }

    private static boolean met(RunRequest.Limits limits, long calls, long elapsedNs) {
        return (calls >= limits.minCalls() && elapsedNs >= limits.minNs()) || elapsedNs >= limits.maxNs();
    }
}
