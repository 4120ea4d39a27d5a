package org.phonebench.runner.onnxruntime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;

/** The adapter with the real library. {@code make_models.py} shows what the models compute. */
final class OnnxAdapterTest {
    @TempDir
    Path folder;
    private final OnnxAdapter adapter = new OnnxAdapter();

    private Path model(String name) throws Exception {
        try (InputStream in = OnnxAdapterTest.class.getResourceAsStream("/" + name)) {
            Files.copy(in, folder.resolve(name));
        }
        return folder.resolve(name);
    }

    private static RunRequest.Runtime on(Delegate delegate, Map<String, String> options) {
        return new RunRequest.Runtime(delegate, 1, options);
    }

    private Session load(String name) throws Exception {
        RunRequest.Runtime request = on(Delegate.CPU, Collections.emptyMap());
        adapter.start(request);
        return adapter.load(model(name), request);
    }

    private static Tensor reals(List<Integer> shape, float... values) {
        Tensor tensor = Tensor.zeros(DType.FLOAT32, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setReal(at, values[at]);
        }
        return tensor;
    }

    private static List<Tensor> mixedInputs() {
        Tensor tokens = Tensor.zeros(DType.INT64, Arrays.asList(1, 3));
        tokens.setInteger(1, 10);
        return Arrays.asList(
            reals(Arrays.asList(1, 4), 1, 2, 3, 4), tokens, reals(Arrays.asList(1, 3), 0, 0, 0.5f));
    }

    private static float[] values(Tensor tensor) {
        float[] values = new float[tensor.elements()];
        for (int at = 0; at < values.length; at++) {
            values[at] = tensor.real(at);
        }
        return values;
    }

    @Test
    void aRealModelComputesWhatItShould() throws Exception {
        try (Session session = load("mixed.onnx")) {
            session.setInputs(mixedInputs());
            session.invoke();
            session.invoke();
            List<Tensor> outputs = session.outputs();
            for (int at = 0; at < 3; at++) {
                assertArrayEquals(new float[] {5, 16, 9.5f}, values(outputs.get(at)), 1e-2f, "output " + at);
            }
            assertEquals(DType.BOOL, outputs.get(3).dtype());
            assertEquals(1, outputs.get(3).integer(0));
        }
    }

    @Test
    void theInputsAreToldAsTheWireHasThem() throws Exception {
        try (Session session = load("mixed.onnx")) {
            assertEquals(Arrays.asList(new TensorSpec("image", DType.FLOAT32, Arrays.asList(1, 4)),
                new TensorSpec("tokens", DType.INT32, Arrays.asList(1, 3)),
                new TensorSpec("wide", DType.FLOAT32, Arrays.asList(1, 3))), session.inputs().get());
        }
    }

    @Test
    void newInputsGiveNewOutputsAndAnOpenDimensionTakesAnySize() throws Exception {
        try (Session session = load("open.onnx")) {
            assertEquals(TensorSpec.ANY, session.inputs().get().get(0).shape().get(0));
            for (int rows = 1; rows < 4; rows++) {
                float[] ones = new float[4 * rows];
                Arrays.fill(ones, rows);
                session.setInputs(Collections.singletonList(reals(Arrays.asList(rows, 4), ones)));
                session.invoke();
                Tensor output = session.outputs().get(0);
                assertEquals(Arrays.asList(rows, 3), output.shape());
                assertEquals(4 * rows, output.real(3 * rows - 1));
            }
        }
    }

    @Test
    void aScalarGoesInAndOut() throws Exception {
        try (Session session = load("scalar.onnx")) {
            assertEquals(new TensorSpec("rate", DType.INT64, Collections.emptyList()), session.inputs().get().get(1));
            Tensor rate = Tensor.zeros(DType.INT64, Collections.emptyList());
            rate.setInteger(0, 16000);
            session.setInputs(Arrays.asList(reals(Arrays.asList(1, 4), 1, 2, 3, 4), rate));
            session.invoke();
            List<Tensor> outputs = session.outputs();
            assertArrayEquals(new float[] {80000, 96000, 144000}, values(outputs.get(0)));
            assertEquals(Collections.emptyList(), outputs.get(1).shape());
            assertEquals(-16000, outputs.get(1).integer(0));
        }
    }

    @Test
    void anOutputOfTextIsRefusedByNameBeforeAnyCall() {
        RunFailure failure = assertThrows(RunFailure.class, () -> load("text.onnx"));
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.LOAD, failure.kind());
        assertTrue(failure.getMessage().contains("output 'words' of the model"), failure.getMessage());
    }

    @Test
    void weightsInAFileOfTheirOwnAreFoundThroughLinks() throws Exception {
        Path links = Files.createDirectory(folder.resolve("job"));
        for (String name : Arrays.asList("apart.onnx", "apart.onnx.data")) {
            Path stored = Files.move(model(name), folder.resolve("digest-of-" + name));
            Files.createSymbolicLink(links.resolve(name), stored);
        }
        RunRequest.Runtime request = on(Delegate.CPU, Collections.emptyMap());
        adapter.start(request);
        try (Session session = adapter.load(links.resolve("apart.onnx"), request)) {
            session.setInputs(Collections.singletonList(reals(Arrays.asList(1, 4), 1, 2, 3, 4)));
            session.invoke();
            assertArrayEquals(new float[] {5, 6, 9}, values(session.outputs().get(0)));
        }
    }

    @ParameterizedTest
    @EnumSource(value = Delegate.class, names = {"NNAPI", "GPU", "COREML", "QNN"})
    void aDelegateThatTheLibraryLacksIsUnsupportedAndNamesWhatItHas(Delegate delegate) throws Exception {
        RunRequest.Runtime request = on(delegate, Collections.emptyMap());
        adapter.start(request);
        Path file = model("open.onnx");
        RunFailure failure = assertThrows(RunFailure.class, () -> adapter.load(file, request));
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.DELEGATE, failure.kind());
        assertTrue(failure.getMessage().contains("it has: cpu"), failure.getMessage());
    }

    @Test
    void aFileForAnotherProcessorIsNotABrokenFile() throws Exception {
        RunFailure failure = assertThrows(RunFailure.class, () -> load("context.onnx"));
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.DELEGATE, failure.kind());
        assertTrue(failure.getMessage().startsWith("'context.onnx' is compiled for another processor"),
            failure.getMessage());
        assertTrue(failure.getMessage().contains("--delegate qnn"), failure.getMessage());
    }

    @Test
    void whatIsNoModelIsAFailureOfTheLoad() throws Exception {
        Path file = Files.write(folder.resolve("broken.onnx"), "no model".getBytes(StandardCharsets.UTF_8));
        RunRequest.Runtime request = on(Delegate.CPU, Collections.emptyMap());
        adapter.start(request);
        RunFailure failure = assertThrows(RunFailure.class, () -> adapter.load(file, request));
        assertEquals(FailureKind.LOAD, failure.kind());
        assertTrue(failure.getMessage().contains("broken.onnx"), failure.getMessage());
    }

    @Test
    void theProfileHasEveryOperatorWithOneTimeACall() throws Exception {
        RunRequest.Runtime runtime = on(Delegate.CPU, Collections.emptyMap());
        RunRequest request = new RunRequest("cell", 0, null, runtime, null,
            new RunRequest.Passes(null, null, null, new RunRequest.Profile(3)));
        adapter.start(runtime);
        List<RunReply.OperatorTime> times = adapter.profile(model("mixed.onnx"), request, mixedInputs(), folder);
        assertTrue(times.stream().anyMatch(time -> time.kind().equals("MatMul")), times.toString());
        assertEquals(3, times.get(0).samplesNs().length);
        assertTrue(times.stream().allMatch(time -> time.ranOn().equals("cpu")), times.toString());
        assertEquals(1, Files.list(folder).count(), "the profile's own file is gone");
    }

    @Test
    void theNodesOfARealTraceAreThoseOfItsProfile() throws Exception {
        RunRequest.Runtime runtime = on(Delegate.CPU, Collections.emptyMap());
        RunRequest request = new RunRequest("cell", 0, null, runtime, null,
            new RunRequest.Passes(null, null, null, new RunRequest.Profile(1)));
        adapter.start(runtime);
        Path file = model("mixed.onnx");
        RunReply.Runtime report = new RunReply.Runtime("onnxruntime", "1", Delegate.CPU, "cpu", 1, null, null, null);
        RunReply.Runtime seen = adapter.observed(file, request, mixedInputs(), folder, report);
        int operators = adapter.profile(file, request, mixedInputs(), folder).size();
        assertEquals(operators, seen.nodesTotal());
        assertEquals(operators, seen.nodesDelegated());
    }

    @Test
    void closingTwiceDoesNothing() throws Exception {
        Session session = load("open.onnx");
        session.close();
        session.close();
        assertDoesNotThrow(session::close);
    }

    @Test
    void theReportNamesTheRuntime() throws Exception {
        try (Session session = load("open.onnx")) {
            assertEquals("onnxruntime", session.report().name());
            assertTrue(session.report().version().matches("\\d+\\.\\d+\\.\\d+.*"), session.report().version());
        }
    }
}
