package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The memory pass: reads memory from the baseline, before the load, to what is left after the release. */
final class MemoryPass {
    // Stored with every result. Change it only together with what is measured.
    static final String DEFINITION =
        "owned memory of the runner process: RssAnon + VmSwap of /proc/self/status, in bytes, the Java heap "
        + "included; pages mapped from files (weights mapped from the artifact among them) and memory of "
        + "accelerators are not in it. Baseline: after the runtime's start, before the load, once garbage is "
        + "collected. Loaded: right after the load. Steady: median between the calls of the memory pass. "
        + "Retained: after release, garbage collection and the settling time; the free pages of the native heap "
        + "are not given back, which Java has no call for. Peak: baseline plus the growth of VmHWM over VmRSS "
        + "since it was reset at the baseline, until the end of the pass, file pages included; null where the "
        + "kernel refuses the reset. Mapped, apart: the growth of RssFile from the baseline to the steady state.";

    private static final long COLLECT_NS = 100_000_000;

    private final MemoryProbe probe;
    private final LatencyPass.Clock clock;
    private final List<RunReply.MemorySplit> splits = new ArrayList<>();
    private final long baselineBytes;
    private final boolean hasPeak;
    private long loadedBytes;

    private MemoryPass(Path self, LatencyPass.Clock clock) throws IOException {
        this.probe = new MemoryProbe(self);
        this.clock = clock;
        collect();
        splits.add(probe.split("baseline"));
        baselineBytes = probe.ownedBytes();
        hasPeak = probe.resetPeak();
    }

    /** Read the baseline. The runtime has started, and no model is loaded yet. */
    static MemoryPass begin(Path self, LatencyPass.Clock clock) throws RunFailure {
        try {
            return new MemoryPass(self, clock);
        } catch (IOException error) {
            throw unreadable(error);
        }
    }

    /** Read the memory right after the load. */
    void loaded() throws RunFailure {
        try {
            loadedBytes = probe.ownedBytes();
            splits.add(probe.split("loaded"));
        } catch (IOException error) {
            throw unreadable(error);
        }
    }

    /** Run the calls of the pass, release the model, and return all readings. */
    RunReply.Memory finish(LatencyPass.Call call, Runnable release, RunRequest.Memory request) throws RunFailure {
        long[] steady = new long[Math.max(1, request.calls())];
        try {
            for (int at = 0; at < steady.length; at++) {
                call.invoke();
                steady[at] = probe.ownedBytes();
            }
            // Where the system drops pages of files, resident memory grows by less than what the process owns.
            Long peakBytes = hasPeak
                ? Math.max(baselineBytes + probe.growthBytes(), Math.max(loadedBytes, highest(steady))) : null;
            RunReply.MemorySplit working = probe.split("steady");
            splits.add(working);
            release.run();
            collect();
            clock.sleep(request.settleNs());
            long retainedBytes = probe.ownedBytes();
            splits.add(probe.split("retained"));
            return new RunReply.Memory(
                DEFINITION, baselineBytes, loadedBytes, median(steady), peakBytes, retainedBytes,
                growth(splits.get(0).fileBytes(), working.fileBytes()), splits);
        } catch (IOException error) {
            throw unreadable(error);
        }
    }

    /**
     * Collect garbage twice with a pause: the heap returns pages some time after a collection, and memory that
     * finalizers release is returned only by the next one.
     */
    private void collect() {
        System.gc();
        clock.sleep(COLLECT_NS);
        System.gc();
    }

    private static Long growth(Long before, Long now) {
        return before == null || now == null ? null : now - before;
    }

    private static long highest(long[] values) {
        return Arrays.stream(values).max().orElse(0);
    }

    static long median(long[] values) {
        long[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    private static RunFailure unreadable(IOException error) {
        return RunFailure.unsupported(FailureKind.RUN,
            "this device does not report the memory of a process: " + RunFailure.firstLine(error), error);
    }
}
