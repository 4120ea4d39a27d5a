package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.concurrent.TimeUnit;

/**
 * Binds this process to some cores.
 *
 * <p>Java has no call for it. The {@code taskset} of the system, started by this process, may change a process of the
 * same user, and threads that begin later take the mask over: so it must come before the runtime starts its own.
 */
public final class Affinity {
    private static final int SECONDS = 5;

    private Affinity() {}

    /**
     * Bind all threads of this process to the cores of {@code mask}, a hexadecimal number whose bit 0 is core 0.
     *
     * @throws RunFailure of kind {@code input} when the mask is none, or, as unsupported, when the device refuses
     */
    public static void bind(String mask, String taskset) throws RunFailure {
        if (!mask.matches("[0-9a-fA-F]{1,16}") || Long.parseUnsignedLong(mask, 16) == 0) {
            throw RunFailure.failed(FailureKind.INPUT,
                "the mask of cores is '" + mask + "', it must be a hexadecimal number over 0");
        }
        try {
            String pid = Paths.get("/proc/self").toRealPath().getFileName().toString();
            Process process = new ProcessBuilder(taskset, "-a", "-p", mask, pid).redirectErrorStream(true).start();
            boolean ended = process.waitFor(SECONDS, TimeUnit.SECONDS);
            process.destroy();
            long found = allowed(Paths.get("/proc/self/status"));
            if (!ended || process.exitValue() != 0 || found != Long.parseUnsignedLong(mask, 16)) {
                throw refused(mask, "the cores allowed are " + Long.toHexString(found), null);
            }
        } catch (IOException error) {
            throw refused(mask, RunFailure.firstLine(error), error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw refused(mask, "interrupted", error);
        }
    }

    /** The cores of {@code Cpus_allowed} in a status file of {@code /proc}. */
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
            "this device does not bind the runner to the cores " + mask + ": " + why, cause);
    }
}
