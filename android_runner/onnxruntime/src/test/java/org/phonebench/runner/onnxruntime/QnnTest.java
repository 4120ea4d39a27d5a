package org.phonebench.runner.onnxruntime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;

/** What can be tested of Qualcomm's provider without its library. */
final class QnnTest {
    @Test
    void theLibrariesOfQualcommAreLoadedBeforeTheModel() throws Exception {
        List<String> loaded = new ArrayList<>();
        Qnn.requireLibraries(loaded::add);
        assertEquals(Arrays.asList("QnnSystem", "QnnHtp"), loaded);
    }

    @Test
    void anAppWithoutThemNamesTheLibraryAndWhatToGive() {
        RunFailure failure = assertThrows(RunFailure.class, () -> Qnn.requireLibraries(System::loadLibrary));
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.DELEGATE, failure.kind());
        assertTrue(failure.getMessage().contains("libQnnSystem.so"), failure.getMessage());
        assertTrue(failure.getMessage().contains("--npu-libraries DIR"), failure.getMessage());
    }

    @Test
    void nothingFallsBackToTheCores() throws Exception {
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            // This computer's library has no such provider, and says so when it is added.
            assertThrows(OrtException.class, () -> Qnn.add(options));
            assertEquals("1", options.getConfigEntries().get("session.disable_cpu_ep_fallback"));
        }
    }

    @Test
    void aNodeThatTheProcessorDoesNotTakeIsNotABrokenFile() {
        OrtException left = new OrtException("This session contains graph nodes that are assigned to the default CPU "
            + "EP, but fallback to CPU EP has been explicitly disabled by the user.");
        RunFailure failure = Qnn.loadFailure("a.onnx", left);
        assertTrue(failure.unsupported());
        assertTrue(failure.getMessage().contains("does not take every node of 'a.onnx'"), failure.getMessage());
        assertFalse(Qnn.loadFailure("a.onnx", new OrtException("no protobuf")).unsupported());
    }
}
