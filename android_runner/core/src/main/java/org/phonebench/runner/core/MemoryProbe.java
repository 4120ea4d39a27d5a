package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/**
 * Reads the memory of this process from {@code /proc/self}.
 *
 * <p>Kernels before 4.5 do not report {@code RssAnon}. Resident minus shared pages in {@code statm} is the same
 * quantity.
 */
final class MemoryProbe {
    static final Path SELF = Paths.get("/proc/self");

    private static final byte[] ANONYMOUS = ProcFields.key("RssAnon");
    private static final byte[] FILE = ProcFields.key("RssFile");
    private static final byte[] SHARED = ProcFields.key("RssShmem");
    private static final byte[] SWAP = ProcFields.key("VmSwap");
    private static final byte[] RESIDENT = ProcFields.key("VmRSS");
    private static final byte[] PEAK = ProcFields.key("VmHWM");
    private static final byte[] PROPORTIONAL = ProcFields.key("Pss");
    private static final int OLD_PAGE_BYTES = 4096;

    private final Path self;
    private final ProcFields status;
    private long residentBytes;

    MemoryProbe(Path self) throws IOException {
        this.self = self;
        this.status = new ProcFields(self.resolve("status"));
    }

    /** Memory that belongs to the process alone and cannot be dropped: RssAnon + VmSwap. */
    long ownedBytes() throws IOException {
        status.refresh();
        long anonymous = status.bytes(ANONYMOUS);
        return (anonymous < 0 ? privateBytes() : anonymous) + Math.max(0, status.bytes(SWAP));
    }

    /** Reset the peak; false if the kernel refuses. */
    boolean resetPeak() throws IOException {
        try {
            // The kernel resets VmHWM when 5 is written to clear_refs (proc(5)).
            Files.write(self.resolve("clear_refs"), "5".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException refused) {
            return false;
        }
        status.refresh();
        residentBytes = status.bytes(RESIDENT);
        return status.bytes(PEAK) >= 0;
    }

    /** How far the peak exceeds the resident memory at the reset. */
    long growthBytes() throws IOException {
        status.refresh();
        return Math.max(0, status.bytes(PEAK) - residentBytes);
    }

    /** What the memory consists of now. */
    RunReply.MemorySplit split(String at) throws IOException {
        status.refresh();
        return new RunReply.MemorySplit(at, status.value(ANONYMOUS), status.value(FILE), status.value(SHARED),
            status.value(SWAP), proportionalBytes());
    }

    private Long proportionalBytes() {
        try (ProcFields rollup = new ProcFields(self.resolve("smaps_rollup"))) {
            rollup.refresh();
            return rollup.value(PROPORTIONAL);
        } catch (IOException absent) {
            return null;
        }
    }

    private long privateBytes() throws IOException {
        String text = new String(Files.readAllBytes(self.resolve("statm")), StandardCharsets.US_ASCII);
        String[] pages = text.trim().split(" ");
        return (Long.parseLong(pages[1]) - Long.parseLong(pages[2])) * OLD_PAGE_BYTES;
    }
}
