package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class AffinityTest {
    @ParameterizedTest
    @CsvSource({"3, 3", "'ff,ffffff0f', ffffffff0f", "'00000000,00000000,0000000c', c"})
    void theCoresAllowedAreReadFromTheStatus(String line, String mask, @TempDir Path folder) throws Exception {
        Path status = folder.resolve("status");
        Files.write(status, ("Name:\tx\nCpus_allowed:\t" + line + "\nCpus_allowed_list:\t0-1\n").getBytes(
            StandardCharsets.US_ASCII));
        assertEquals(mask, Long.toHexString(Affinity.allowed(status)));
    }

    @Test
    void bindingToTheCoresThatAreAllowedSucceeds() throws Exception {
        long all = Affinity.allowed(Paths.get("/proc/self/status"));
        Affinity.bind(Long.toHexString(all), "taskset");
        assertEquals(all, Affinity.allowed(Paths.get("/proc/self/status")));
    }

    @Test
    void coresThatAreNotThereAreUnsupported() {
        RunFailure failure = assertThrows(RunFailure.class, () -> Affinity.bind("8000000000000000", "taskset"));
        assertTrue(failure.unsupported());
    }

    @ParameterizedTest
    @CsvSource({"0", "xyz", "-1", "''"})
    void whatIsNoMaskIsRefused(String mask) {
        RunFailure failure = assertThrows(RunFailure.class, () -> Affinity.bind(mask, "taskset"));
        assertEquals(FailureKind.INPUT, failure.kind());
    }
}
