package org.phonebench.runner.core;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Prints the time that the timed loop adds to each call.
 *
 * <p>The timed loop and a bare loop take turns in one process with a call of known work. The overhead is the difference
 * in processor time of the thread per call, which does not depend on how busy the machine is.
 *
 * <p>It also prints the bytes per call that the thread allocated in the timed loop. This is a main method and not a
 * test, because tests must not assert times.
 */
final class LoopOverhead {
    private static final int CALLS = 200_000;
    private static final int TURNS = 15;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private static volatile long sink;

    private LoopOverhead() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Files.createTempDirectory("phonebench-overhead");
        double[] added = new double[TURNS];
        double[] inside = new double[TURNS];
        double[] allocated = new double[TURNS];
        for (int turn = 0; turn < TURNS; turn++) {
            double bareNs = bare();
            RunRequest.Limits calls = new RunRequest.Limits(CALLS, 0, Long.MAX_VALUE);
            LatencyPass pass = new LatencyPass(
                new RunRequest.Latency(new RunRequest.Limits(0, 0, 0), calls, 0, 0), new SystemClock(), folder);
            long bytes = THREADS.getCurrentThreadAllocatedBytes();
            long start = THREADS.getCurrentThreadCpuTime();
            pass.run(LoopOverhead::work);
            long spentNs = THREADS.getCurrentThreadCpuTime() - start;
            allocated[turn] = (double) (THREADS.getCurrentThreadAllocatedBytes() - bytes) / CALLS;
            added[turn] = (double) spentNs / CALLS - bareNs;
            inside[turn] = median(pass.reply().samplesNs()) - bareNs;
        }
        Files.delete(folder);
        System.out.printf("calls a turn: %d, turns: %d%n", CALLS, TURNS);
        System.out.printf("the loop adds to a call: median %.0f ns%n", median(added));
        System.out.printf("of it inside the timed region: median %.0f ns%n", median(inside));
        System.out.printf("allocated a call: median %.2f bytes%n", median(allocated));
    }

    /** A call of some hundred nanoseconds that the compiler cannot optimise away. */
    private static void work() {
        long value = sink;
        for (int at = 0; at < 200; at++) {
            value = value * 6364136223846793005L + 1442695040888963407L;
        }
        sink = value;
    }

    private static double bare() {
        long start = THREADS.getCurrentThreadCpuTime();
        for (int call = 0; call < CALLS; call++) {
            work();
        }
        return (double) (THREADS.getCurrentThreadCpuTime() - start) / CALLS;
    }

    private static double median(long[] values) {
        return median(Arrays.stream(values).asDoubleStream().toArray());
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
