package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.concurrent.TimeUnit;

/**
 * Binds this process to some of the device's cores.
 *
 * <p>Java has no call for that, so this class starts the system's {@code taskset}, which may change processes of the
 * same user. New threads inherit the mask from the thread that starts them, so binding must happen before the runtime
 * starts its threads.
 */
public final class Affinity {
    private static final int SECONDS = 5;

    private Affinity() {}

    /**
     * Bind all threads of this process to the cores in {@code mask}, a hexadecimal number in which bit 0 is core 0.
     *
     * @throws RunFailure of kind {@code input} when the mask is invalid, unsupported when the device refuses it
     */
    public static void bind(String mask, String taskset) throws RunFailure {
        if (!mask.matches("[0-9a-fA-F]{1,16}") || Long.parseUnsignedLong(mask, 16) == 0) {
            throw RunFailure.failed(FailureKind.INPUT,
                "the core mask is '" + mask + "'; it must be a hexadecimal number over 0");
        }
        try {
            String pid = Paths.get("/proc/self").toRealPath().getFileName().toString();
            Process process = new ProcessBuilder(taskset, "-a", "-p", mask, pid).redirectErrorStream(true).start();
            boolean ended = process.waitFor(SECONDS, TimeUnit.SECONDS);
            process.destroy();
            // The kernel silently drops cores that the cpuset of the process forbids, so read back what it allows.
            long actual = allowed(Paths.get("/proc/self/status"));
            if (!ended || process.exitValue() != 0 || actual != Long.parseUnsignedLong(mask, 16)) {
                throw refused(mask, "the allowed cores are " + Long.toHexString(actual), null);
            }
        } catch (IOException error) {
            throw refused(mask, RunFailure.firstLine(error), error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw refused(mask, "interrupted", error);
        }
    }

    /** The mask in {@code Cpus_allowed} of a {@code /proc/PID/status} file. */
    static long allowed(Path status) throws IOException {
        for (String line : Files.readAllLines(status, StandardCharsets.ISO_8859_1)) {
            if (line.startsWith("Cpus_allowed:")) {
                String digits = line.substring(line.indexOf(':') + 1).trim().replace(",", "");
                return Long.parseUnsignedLong(digits.substring(Math.max(0, digits.length() - 16)), 16);
            }
        }
        throw new IOException("no Cpus_allowed in " + status);
    }

    private static RunFailure refused(String mask, String why, Throwable cause) {
        return RunFailure.unsupported(FailureKind.RUN,
            "this device cannot bind the runner to the cores " + mask + ": " + why, cause);
    }
}
