package org.phonebench.runner.tflite;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;

/** What can be tested without the native library. The module tflite-desktop tests the rest. */
final class TfliteGraphTest {
    private static final Path MODEL = Paths.get("src/test/resources/three.tflite");

    @Test
    void theNodesOfARealFileAreCounted() throws Exception {
        assertEquals(3, TfliteGraph.read(MODEL).nodes());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 20, 60, 200})
    void aFileThatIsCutOffOrNoModelIsRefused(int bytes, @TempDir Path folder) throws Exception {
        Path file = folder.resolve("cut.tflite");
        Files.write(file, Arrays.copyOf(Files.readAllBytes(MODEL), bytes));
        assertThrows(IOException.class, () -> TfliteGraph.read(file));
    }

    @ParameterizedTest
    @CsvSource({
        // Nodes, steps of the plan, whether a delegate was requested; delegated nodes, partitions.
        "31, 31, true, , ", "31, 1, true, 31, 1", "31, 4, true, , ", "31, 31, false, 0, 0", "1, 1, true, , ",
        "1, 1, false, 0, 0",
    })
    void aPlanTellsWhatWasDelegatedOnlyWhereItIsOneStep(
            int nodes, int steps, boolean asked, Integer delegated, Integer partitions) {
        TfliteGraph.Coverage coverage = new TfliteGraph(nodes).coverage(steps, asked);
        assertEquals(new TfliteGraph.Coverage(nodes, delegated, partitions), coverage);
    }

    @ParameterizedTest
    @CsvSource({"31, 31, true", "31, 30, false", "31, 1, false", "1, 1, false"})
    void aPlanAsLongAsTheGraphIsThatOfTheKernels(int nodes, int steps, boolean left) {
        assertEquals(left, new TfliteGraph(nodes).leftToKernels(steps));
    }

    @Test
    void withoutTheNativeLibraryTheRuntimeIsUnsupported() {
        RunRequest.Runtime request = new RunRequest.Runtime(Delegate.CPU, 1, Collections.emptyMap());
        RunFailure failure = assertThrows(RunFailure.class, () -> new TfliteAdapter().start(request));
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.LOAD, failure.kind());
    }

    @Test
    void anOptionIsRefusedByItsName() {
        RunRequest.Runtime request = new RunRequest.Runtime(Delegate.CPU, 1, Collections.singletonMap("x", "1"));
        RunFailure failure = assertThrows(RunFailure.class, () -> new TfliteAdapter().start(request));
        assertEquals(FailureKind.INPUT, failure.kind());
        assertTrue(failure.getMessage().contains("[x]"), failure.getMessage());
    }
}
