package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The memory probe with a fake {@code /proc/self}, and once with the real one. */
final class MemoryPassTest {
    @TempDir
    Path self;

    private void status(long anonymousKb, long residentKb, long peakKb) throws IOException {
        write("status", "Name:\tjava\nVmHWM:\t " + peakKb + " kB\nVmRSS:\t " + residentKb + " kB\nRssAnon:\t "
            + anonymousKb + " kB\nRssFile:\t 70 kB\nRssShmem:\t 5 kB\nVmSwap:\t 3 kB\nThreads:\t2\n");
    }

    private void write(String name, String text) throws IOException {
        Files.write(self.resolve(name), text.getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void whatIsOwnedIsAnonymousAndSwappedMemory() throws Exception {
        status(100, 175, 200);
        assertEquals(103 * 1024, new MemoryProbe(self).ownedBytes());
    }

    @Test
    void thePeakIsCountedFromTheReset() throws Exception {
        status(100, 175, 175);
        MemoryProbe probe = new MemoryProbe(self);
        write("clear_refs", "");
        assertTrue(probe.resetPeak());
        assertEquals("5", new String(Files.readAllBytes(self.resolve("clear_refs")), StandardCharsets.US_ASCII));
        status(120, 195, 275);
        assertEquals(100 * 1024, probe.growthBytes());
    }

    @Test
    void aKernelThatRefusesTheResetGivesNoPeak() throws Exception {
        status(100, 175, 175);
        Files.createDirectory(self.resolve("clear_refs"));
        assertFalse(new MemoryProbe(self).resetPeak());
    }

    @Test
    void theSplitSaysWhatTheKernelTellsAndNullElse() throws Exception {
        status(100, 175, 175);
        MemoryProbe probe = new MemoryProbe(self);
        assertNull(probe.split("loaded").proportionalBytes());
        write("smaps_rollup", "0000-ffff ---p 00000000 00:00 0 [rollup]\nRss:  175 kB\nPss:  150 kB\nPss_Anon: 9 kB\n");
        assertEquals(new RunReply.MemorySplit("loaded", 100L << 10, 70L << 10, 5L << 10, 3L << 10, 150L << 10),
            probe.split("loaded"));
    }

    @Test
    void anOldKernelTellsTheSameByPages() throws Exception {
        write("status", "Name:\tjava\nVmHWM:\t 900 kB\nVmRSS:\t 800 kB\nVmSwap:\t 0 kB\n");
        write("statm", "900 200 50 1 0 120 0\n");
        assertEquals(150 * 4096, new MemoryProbe(self).ownedBytes());
    }

    @ParameterizedTest
    @CsvSource({"5 1 3, 3", "4 1, 2", "7, 7", "1 2 3 100, 2"})
    void theMedianIsThatOfTheMiddle(String values, long median) {
        String[] texts = values.split(" ");
        long[] numbers = new long[texts.length];
        for (int at = 0; at < numbers.length; at++) {
            numbers[at] = Long.parseLong(texts[at]);
        }
        assertEquals(median, MemoryPass.median(numbers));
    }

    @Test
    void memoryThatIsTouchedShowsInTheRealProcess() throws Exception {
        MemoryProbe probe = new MemoryProbe(MemoryProbe.SELF);
        long before = probe.ownedBytes();
        java.nio.ByteBuffer block = java.nio.ByteBuffer.allocateDirect(64 << 20);
        for (int at = 0; at < block.limit(); at += 4096) {
            block.put(at, (byte) 1);
        }
        assertTrue(probe.ownedBytes() - before > 50 << 20);
        assertEquals(1, block.get(0));
    }
}
