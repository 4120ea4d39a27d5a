package org.phonebench.runner.tflite;

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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
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

/**
 * The adapter and the library's Java as in the app, with a real native library. {@code make_models.py} shows what the
 * models compute.
 */
final class TfliteAdapterTest {
    @TempDir
    Path folder;
    private final TfliteAdapter adapter = new TfliteAdapter();

    private Path model(String name) throws Exception {
        try (InputStream in = TfliteAdapterTest.class.getResourceAsStream("/" + name)) {
            Files.copy(in, folder.resolve(name));
        }
        return folder.resolve(name);
    }

    private static RunRequest.Runtime on(Delegate delegate) {
        return new RunRequest.Runtime(delegate, 1, Collections.emptyMap());
    }

    private Session load(String name, Delegate delegate) throws Exception {
        adapter.start(on(delegate));
        return adapter.load(model(name), on(delegate));
    }

    private RunFailure refused(Path file, Delegate delegate) throws Exception {
        adapter.start(on(delegate));
        return assertThrows(RunFailure.class, () -> adapter.load(file, on(delegate)));
    }

    private static Tensor reals(List<Integer> shape, float... values) {
        Tensor tensor = Tensor.zeros(DType.FLOAT32, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setReal(at, values[at]);
        }
        return tensor;
    }

    private static Tensor integers(DType dtype, List<Integer> shape, long... values) {
        Tensor tensor = Tensor.zeros(dtype, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setInteger(at, values[at]);
        }
        return tensor;
    }

    /** Inputs for {@code mixed.tflite}, different for every {@code step}. */
    private static List<Tensor> mixedInputs(int step) {
        return Arrays.asList(
            reals(Arrays.asList(1, 4), step, 2, 3, 4), integers(DType.INT64, Arrays.asList(1, 3), -5, 0, 1L << 40),
            reals(Arrays.asList(1, 4), step, -2, 3, 4.4f), reals(Arrays.asList(1, 2), -0.25f, 1000),
            reals(Arrays.asList(1, 2), -1, 0.00390625f));
    }

    private static float[] values(Tensor tensor) {
        float[] values = new float[tensor.elements()];
        for (int at = 0; at < values.length; at++) {
            values[at] = tensor.dtype().sort() == DType.Sort.FLOAT ? tensor.real(at) : tensor.integer(at);
        }
        return values;
    }

    @ParameterizedTest
    @EnumSource(value = Delegate.class, names = {"CPU", "XNNPACK", "NNAPI"})
    void aRealModelComputesWhatItShouldFromEverySortOfTensor(Delegate delegate) throws Exception {
        try (Session session = load("mixed.tflite", delegate)) {
            for (int step = 0; step < 3; step++) {
                session.setInputs(mixedInputs(step));
                session.invoke();
                session.invoke();
                List<Tensor> outputs = session.outputs();
                assertArrayEquals(new float[] {4 + step, 6, 7 + 2 * step}, values(outputs.get(0)));
                assertArrayEquals(new float[] {5, 0, -(1L << 40)}, values(outputs.get(1)));
                assertArrayEquals(new float[] {0, 0, 1}, values(outputs.get(2)));
                // 4.4 is stored in steps of 0.5, as 4.5.
                assertArrayEquals(new float[] {4.5f + step, 2.5f, 7.5f + 2 * step}, values(outputs.get(3)));
                // 1000 does not fit in eight bits in steps of 0.25, so it is clipped.
                assertArrayEquals(new float[] {-0.25f, 31.75f}, values(outputs.get(4)));
                assertArrayEquals(new float[] {-1, 0.00390625f}, values(outputs.get(5)));
            }
        }
    }

    @Test
    void theInputsAreToldAsTheWireHasThemByTheNamesOfTheSignature() throws Exception {
        try (Session session = load("mixed.tflite", Delegate.CPU)) {
            assertEquals(Arrays.asList(new TensorSpec("image", DType.FLOAT32, Arrays.asList(1, 4)),
                new TensorSpec("tokens", DType.INT64, Arrays.asList(1, 3)),
                new TensorSpec("small", DType.FLOAT32, Arrays.asList(1, 4)),
                new TensorSpec("byte", DType.FLOAT32, Arrays.asList(1, 2)),
                new TensorSpec("short", DType.FLOAT32, Arrays.asList(1, 2))), session.inputs().get());
        }
    }

    @Test
    void narrowerIntegersOfTheWireAreWidened() throws Exception {
        try (Session session = load("mixed.tflite", Delegate.CPU)) {
            List<Tensor> inputs = mixedInputs(0);
            inputs.set(1, integers(DType.INT32, Arrays.asList(1, 3), -1, 2, 3));
            session.setInputs(inputs);
            session.invoke();
            assertEquals(DType.INT64, session.outputs().get(1).dtype());
            assertArrayEquals(new float[] {1, -2, -3}, values(session.outputs().get(1)));
        }
    }

    @ParameterizedTest
    @EnumSource(value = Delegate.class, names = {"CPU", "XNNPACK"})
    void anOpenDimensionTakesAnySize(Delegate delegate) throws Exception {
        try (Session session = load("open.tflite", delegate)) {
            assertEquals(Arrays.asList(TensorSpec.ANY, 4), session.inputs().get().get(0).shape());
            for (int rows = 1; rows < 4; rows++) {
                float[] ones = new float[4 * rows];
                Arrays.fill(ones, rows);
                session.setInputs(Collections.singletonList(reals(Arrays.asList(rows, 4), ones)));
                session.invoke();
                Tensor output = session.outputs().get(0);
                assertEquals(Arrays.asList(rows, 3), output.shape());
                assertEquals(-4 * rows, output.real(3 * rows - 1));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        // File, requested delegate; delegate used, nodes, delegated nodes, partitions.
        "open.tflite, CPU, cpu, 2, 0, 0", "open.tflite, XNNPACK, xnnpack, 2, 2, 1",
        // XNNPACK takes two of the three nodes as one partition. Of the six it takes one, which has no neighbour.
        "three.tflite, XNNPACK, xnnpack, 3, , ", "mixed.tflite, XNNPACK, cpu, 6, , ",
        // A computer has no NNAPI, so its delegate takes nothing.
        "open.tflite, NNAPI, cpu, 2, , ",
    })
    void theReportTellsWhatRanWhere(
            String file, Delegate asked, String used, int nodes, Integer delegated, Integer partitions)
            throws Exception {
        try (Session session = load(file, asked)) {
            assertEquals(new RunReply.Runtime("litert", "2.6.2", asked, used, 1, nodes, delegated, partitions),
                session.report());
        }
    }

    @Test
    void whatIsNoModelIsAFailureOfTheLoad() throws Exception {
        Path file = Files.write(folder.resolve("broken.tflite"), "no model".getBytes(StandardCharsets.UTF_8));
        RunFailure failure = refused(file, Delegate.CPU);
        assertEquals(FailureKind.LOAD, failure.kind());
        assertTrue(failure.getMessage().contains("broken.tflite"), failure.getMessage());
    }

    @ParameterizedTest
    @EnumSource(value = Delegate.class, names = {"CPU", "XNNPACK", "NNAPI"})
    void anOperatorThatTheLibraryLacksIsAFailureOfTheLoadWhateverTheDelegate(Delegate delegate) throws Exception {
        RunFailure failure = refused(model("newer.tflite"), delegate);
        assertEquals(FailureKind.LOAD, failure.kind());
        assertTrue(failure.getMessage().contains("FULLY_CONNECTED"), failure.getMessage());
    }

    @ParameterizedTest
    @EnumSource(value = Delegate.class, names = {"GPU", "COREML", "QNN"})
    void aDelegateThatIsNotHereIsUnsupported(Delegate delegate) throws Exception {
        RunFailure failure = refused(model("open.tflite"), delegate);
        assertTrue(failure.unsupported());
        assertEquals(FailureKind.DELEGATE, failure.kind());
    }

    @Test
    void inputsThatTheModelCannotComputeWithAreAFailureOfTheCall() throws Exception {
        try (Session session = load("mixed.tflite", Delegate.CPU)) {
            List<Tensor> inputs = mixedInputs(0);
            inputs.set(3, reals(Arrays.asList(1, 3), 1, 2, 3));
            RunFailure failure = assertThrows(RunFailure.class, () -> session.setInputs(inputs));
            assertEquals(FailureKind.RUN, failure.kind());
        }
    }

    @Test
    void closingTwiceDoesNothing() throws Exception {
        Session session = load("open.tflite", Delegate.NNAPI);
        session.close();
        assertDoesNotThrow(session::close);
    }
}
