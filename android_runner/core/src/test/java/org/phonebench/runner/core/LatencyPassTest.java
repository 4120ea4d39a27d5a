package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loop with a fake clock: a call takes the time that the test sets, and reading the clock takes none. */
final class LatencyPassTest {
    private static final class FakeTime implements LatencyPass.Clock, LatencyPass.Call {
        private final long firstNs;
        private final long callNs;
        private long now = 1_000;
        private long calls;
        private long sleptNs;

        FakeTime(long firstNs, long callNs) {
            this.firstNs = firstNs;
            this.callNs = callNs;
        }

        @Override
        public long nanos() {
            return now;
        }

        @Override
        public void sleep(long nanos) {
            now += nanos;
            sleptNs += nanos;
        }

        @Override
        public void invoke() {
            now += calls == 0 ? firstNs : callNs;
            calls++;
        }
    }

    @TempDir
    Path folder;

    private RunReply.Latency run(FakeTime time, RunRequest.Latency asked) throws RunFailure {
        LatencyPass pass = new LatencyPass(asked, time, folder);
        pass.run(time);
        return pass.reply();
    }

    private static RunRequest.Latency asked(long warmCalls, long warmNs, RunRequest.Limits measure) {
        return new RunRequest.Latency(new RunRequest.Limits(warmCalls, warmNs, measure.maxNs()), measure, 0, 0);
    }

    @Test
    void theFirstCallTheWarmUpAndTheMeasuredCallsAreKeptApart() throws Exception {
        RunReply.Latency found = run(new FakeTime(90, 10), asked(2, 0, new RunRequest.Limits(3, 0, 1_000)));
        assertEquals(90, found.firstNs());
        assertArrayEquals(new long[] {10, 10}, found.warmupNs());
        assertArrayEquals(new long[] {10, 10, 10}, found.samplesNs());
        assertArrayEquals(new long[0], found.atNs());
    }

    @Test
    void bothMinimaMustBeMet() throws Exception {
        RunReply.Latency found = run(new FakeTime(10, 10), asked(1, 45, new RunRequest.Limits(2, 75, 1_000)));
        assertEquals(5, found.warmupNs().length);
        assertEquals(8, found.samplesNs().length);
    }

    @Test
    void theCapEndsEitherPhaseAndOneCallIsMeasuredAtTheLeast() throws Exception {
        RunReply.Latency found = run(new FakeTime(100, 100), asked(50, 0, new RunRequest.Limits(50, 0, 250)));
        assertEquals(3, found.warmupNs().length);
        assertEquals(3, found.samplesNs().length);
        assertEquals(1, run(new FakeTime(9, 9), asked(0, 0, new RunRequest.Limits(0, 0, 0))).samplesNs().length);
    }

    @Test
    void theIntervalIsSleptBetweenCallsAndNotTimed() throws Exception {
        FakeTime time = new FakeTime(10, 10);
        RunRequest.Limits three = new RunRequest.Limits(3, 0, 10_000);
        RunReply.Latency found = run(time, new RunRequest.Latency(new RunRequest.Limits(0, 0, 0), three, 500, 0));
        assertArrayEquals(new long[] {10, 10, 10}, found.samplesNs());
        assertEquals(1_000, time.sleptNs);
    }

    @Test
    void aStrideKeepsOnlyCallsThatBeginSoLongAfterTheLastKept() throws Exception {
        RunRequest.Limits measure = new RunRequest.Limits(10, 0, 10_000);
        RunRequest.Latency thin = new RunRequest.Latency(new RunRequest.Limits(0, 0, 0), measure, 0, 25);
        FakeTime time = new FakeTime(10, 10);
        RunReply.Latency found = run(time, thin);
        assertArrayEquals(new long[] {0, 30, 60, 90}, found.atNs());
        assertEquals(4, found.samplesNs().length);
        assertEquals(11, time.calls);
    }

    @Test
    void manySamplesOutgrowOneChunkAndLeaveNoFile() throws Exception {
        long calls = 2L * Samples.CHUNK + 5;
        RunReply.Latency found =
            run(new FakeTime(1, 3), asked(0, 0, new RunRequest.Limits(calls, 0, Long.MAX_VALUE)));
        assertEquals(calls, found.samplesNs().length);
        assertEquals(3, found.samplesNs()[(int) calls - 1]);
        assertEquals(0, Files.list(folder).count());
    }
}
