package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class JobRunnerTest {
    private static final RunReply.Runner INFO = new RunReply.Runner("desktop", "1", false, null);
    private static final byte[] MODEL = "the model".getBytes(StandardCharsets.UTF_8);

    @TempDir
    Path root;
    private final DoublingAdapter adapter = new DoublingAdapter();
    private Path folder;
    private Path store;
    private String inputs;
    private JSONObject request;

    @BeforeEach
    void aJob() throws Exception {
        folder = Files.createDirectories(root.resolve("files/jobs/j"));
        store = Files.createDirectories(root.resolve("store"));
        // Two inputs. In each, tensor b comes before a; the runner reorders them by name.
        inputs = stored(floats(1, 2, 10, 20, 3, 4, 30, 40));
        JSONArray tensors = new JSONArray().put(tensor("b")).put(tensor("a"));
        request = Golden.json("request-minimal.json");
        request.getJSONObject("artifact").put("sha256", stored(MODEL));
        request.put("inputs", new JSONObject().put("file", "inputs.bin").put("count", 2).put("tensors", tensors));
    }

    private static JSONObject tensor(String name) throws Exception {
        JSONArray shape = new JSONArray().put(1).put(2);
        return new JSONObject().put("name", name).put("dtype", "float32").put("shape", shape);
    }

    private static byte[] floats(float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            buffer.putFloat(value);
        }
        return buffer.array();
    }

    private String stored(byte[] data) throws Exception {
        Path file = Files.write(root.resolve("part"), data);
        String sha256 = Digest.sha256(file);
        Files.copy(file, store.resolve(sha256));
        return sha256;
    }

    private void pass(String name, String json) throws Exception {
        request.getJSONObject("passes").put(name, new JSONObject(json));
    }

    private void allPasses() throws Exception {
        pass("latency", "{\"warmup\":{\"min_calls\":2,\"min_ns\":0},"
            + "\"measure\":{\"min_calls\":5,\"min_ns\":0,\"max_ns\":60000000000}}");
        pass("memory", "{\"calls\":3}");
        pass("outputs", "{\"count\":2}");
        pass("profile", "{\"calls\":1}");
    }

    private RunReply run() throws Exception {
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, inputs);
        return new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), null, null)
            .run(place, () -> { });
    }

    @Test
    void everyPassThatIsAskedForIsInTheReply() throws Exception {
        allPasses();
        RunReply reply = run();
        assertEquals(RunReply.Status.OK, reply.status(), String.valueOf(reply.failure()));
        assertEquals(5, reply.results().latency().samplesNs().length);
        assertEquals(1, reply.results().load().warmNs().length);
        assertTrue(reply.results().memory().steadyBytes() > 1_000_000);
        assertEquals("add", reply.results().profile().get(0).name());
        assertNotNull(reply.state().after());
        assertEquals(Arrays.asList("start", "load", "set", "close", "load", "set", "set", "close", "profile"),
            adapter.events);
    }

    @Test
    void anEnergyPassWaitsBeforeTheFirstCallAndTheCallsAreItsLoad() throws Exception {
        allPasses();
        pass("energy", "{\"idle_ns\":30000000,\"settle_ns\":1000000}");
        RunReply.Energy energy = run().results().energy();
        RunReply.EnergyBlock idle = energy.blocks().get(0);
        RunReply.EnergyBlock load = energy.blocks().get(1);
        assertEquals("idle", idle.kind());
        assertTrue(idle.endedNs() - idle.beganNs() >= 30_000_000);
        assertTrue(load.beganNs() >= idle.endedNs());
        assertEquals(5, load.calls());
        // /proc/uptime and the clock of the blocks differ by the time that the computer has slept.
        assertNotNull(energy.bootOffsetNs());
    }

    @Test
    void anAppWithAKeyRunsOnlyWhatWasSigned() throws Exception {
        allPasses();
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, inputs);
        Path key = Golden.FOLDER.resolveSibling("signing").resolve("P-256.pub");
        TrustedKey trusted = TrustedKey.read(new String(Files.readAllBytes(key), StandardCharsets.US_ASCII));
        RunReply reply = new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")),
            trusted, null).run(place, () -> { });
        assertEquals(RunReply.Status.FAILED, reply.status());
        assertEquals(FailureKind.DIGEST, reply.failure().kind());
        assertTrue(reply.failure().message().contains("has no signature"), reply.failure().message());
        assertEquals(Collections.emptyList(), adapter.events);
    }

    @Test
    void whatADelegateRanIsLookedAtAfterEverythingIsMeasured() throws Exception {
        allPasses();
        request.getJSONObject("runtime").put("delegate", "xnnpack");
        RunReply reply = run();
        assertEquals("xnnpack", reply.results().runtime().delegateUsed());
        assertEquals(4, reply.results().runtime().nodesDelegated());
        assertEquals(Arrays.asList("start", "load", "set", "close", "load", "set", "set", "close", "observe",
            "profile"), adapter.events);
    }

    @Test
    void whatWasMeasuredIsKeptBeforeTheDelegateIsLookedAt() throws Exception {
        allPasses();
        request.getJSONObject("runtime").put("delegate", "xnnpack");
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, inputs);
        new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), null, null).run(place,
            () -> { },
            reply -> {
                adapter.events.add("keep " + reply.status() + " " + reply.results().latency().samplesNs().length);
                assertNotNull(reply.results().outputs());
                assertNotNull(reply.state().after());
                assertNull(reply.results().runtime().nodesTotal());
            });
        int kept = adapter.events.indexOf("keep OK 5");
        assertEquals(Arrays.asList("keep OK 5", "close", "observe", "profile"),
            adapter.events.subList(kept, adapter.events.size()));
    }

    @Test
    void aDelegateThatCannotBeLookedAtCostsNothing() throws Exception {
        allPasses();
        request.getJSONObject("runtime").put("delegate", "xnnpack")
            .put("options", new JSONObject().put("blind", "1"));
        RunReply reply = run();
        assertEquals(RunReply.Status.OK, reply.status());
        assertNull(reply.results().runtime().nodesDelegated());
    }

    @Test
    void theDigestOfTheInputsInTheRequestIsChecked() throws Exception {
        pass("outputs", "{\"count\":1}");
        request.getJSONObject("inputs").put("sha256", inputs);
        assertEquals(RunReply.Status.OK, run().status());
        request.getJSONObject("inputs").put("sha256", "");
        assertEquals(RunReply.Status.OK, run().status());
        request.getJSONObject("inputs").put("sha256", Digest.of(MODEL));
        RunReply reply = run();
        assertEquals(FailureKind.INPUT, reply.failure().kind());
        assertTrue(reply.failure().message().contains("do not have the sha256 " + Digest.of(MODEL)));
    }

    @Test
    void theProfileGetsItsInputsInTheOrderOfTheModel() throws Exception {
        allPasses();
        run();
        assertEquals(Arrays.asList(10f, 20f, 1f, 2f), Arrays.asList(adapter.profiled.get(0).real(0),
            adapter.profiled.get(0).real(1), adapter.profiled.get(1).real(0), adapter.profiled.get(1).real(1)));
    }

    @Test
    void aModelThatCannotBeReleasedAtTheEndCostsNothing() throws Exception {
        pass("outputs", "{\"count\":2}");
        request.getJSONObject("runtime").put("options", new JSONObject().put("stuck", "1"));
        RunReply reply = run();
        assertEquals(RunReply.Status.OK, reply.status());
        assertNotNull(reply.results().outputs());
    }

    @Test
    void anErrorOutsideOfTheRunIsAReplyWithTheCellAndTheLaunch() throws Exception {
        request.put("launch", 4);
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, inputs);
        JobRunner runner =
            new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), null, null);
        RunReply reply = runner.failed(place, new StackOverflowError("too deep"));
        assertEquals(request.getString("cell"), reply.cell());
        assertEquals(4, reply.launch());
        assertEquals(FailureKind.RUN, reply.failure().kind());
        assertEquals("the runner failed: java.lang.StackOverflowError: too deep", reply.failure().message());
        assertTrue(reply.failure().detail().contains("at org.phonebench"), reply.failure().detail());
        assertEquals(FailureKind.OOM, runner.failed(place, new OutOfMemoryError()).failure().kind());
        Files.delete(folder.resolve("request.json"));
        assertEquals("", runner.failed(place, new StackOverflowError()).cell());
    }

    @Test
    void theOutputsOfEveryInputAreWrittenInOrderAndMatchedByName() throws Exception {
        pass("outputs", "{\"count\":2}");
        RunReply reply = run();
        assertEquals(new RunReply.Outputs("outputs.bin", 2,
            Collections.singletonList(new TensorSpec("output_0", DType.FLOAT32, Arrays.asList(1, 2)))),
            reply.results().outputs());
        assertArrayEquals(floats(21, 42, 63, 84), Files.readAllBytes(folder.resolve("outputs.bin")));
    }

    @Test
    void theArtifactHasItsNameInTheJobsFolder() throws Exception {
        run();
        assertArrayEquals(MODEL, Files.readAllBytes(folder.resolve("digits.onnx")));
    }

    @Test
    void aPassThatWasNotAskedForIsNull() throws Exception {
        RunReply.Results results = run().results();
        assertNull(results.latency());
        assertNull(results.memory());
        assertNull(results.outputs());
    }

    @ParameterizedTest
    @CsvSource({"fail, OOM, bad_alloc", "bug, RUN, a bug", "deep, RUN, StackOverflowError",
        "unknown, INPUT, no option"})
    void aFailureIsAReplyWithWhatWasMeasuredBefore(String option, FailureKind kind, String said) throws Exception {
        allPasses();
        request.getJSONObject("runtime").put("options", new JSONObject().put(option, "on"));
        RunReply reply = run();
        assertEquals(RunReply.Status.FAILED, reply.status());
        assertEquals(kind, reply.failure().kind());
        assertTrue(reply.failure().message().contains(said), reply.failure().message());
        assertEquals(kind != FailureKind.INPUT, reply.results().load() != null);
    }

    @Test
    void aDelegateThatIsNotThereIsUnsupported() throws Exception {
        request.getJSONObject("runtime").put("delegate", "gpu");
        assertEquals(RunReply.Status.UNSUPPORTED, run().status());
    }

    @Test
    void aFormatOfAnotherRuntimeIsUnsupportedAndNamesWhatThereIs() throws Exception {
        request.getJSONObject("artifact").put("format", "pte");
        RunReply reply = run();
        assertEquals(RunReply.Status.UNSUPPORTED, reply.status());
        assertEquals("this runner has no runtime for pte (it has those for: onnx)", reply.failure().message());
    }

    @Test
    void anotherArtifactThanTheOneAskedForIsRefusedBeforeTheRuntimeStarts() throws Exception {
        Path file = store.resolve(request.getJSONObject("artifact").getString("sha256"));
        Files.write(file, "another".getBytes(StandardCharsets.UTF_8));
        assertEquals(FailureKind.DIGEST, run().failure().kind());
        Files.delete(file);
        assertTrue(run().failure().message().contains("deploy it again"));
        assertEquals(Collections.emptyList(), adapter.events);
    }

    @Test
    void inputsOfAnotherLengthOrContentAreRefused() throws Exception {
        Path file = store.resolve(inputs);
        Files.write(file, floats(1, 2, 10, 20, 3, 4, 30, 41));
        assertTrue(run().failure().message().contains("do not have the sha256"));
        Files.write(file, floats(1));
        RunReply.Failure failure = run().failure();
        assertEquals(FailureKind.INPUT, failure.kind());
        assertTrue(failure.message().contains("has 4 bytes; 2 inputs of these tensors take 32"), failure.message());
    }

    @Test
    void inputsThatDoNotFitTheModelAreRefusedWithBothShapes() throws Exception {
        JSONObject tensor = request.getJSONObject("inputs").getJSONArray("tensors").getJSONObject(1);
        tensor.put("shape", new JSONArray().put(2).put(1));
        String said = run().failure().message();
        assertTrue(said.startsWith("input 'a' of the model is float32 [1, 2], but got float32 [2, 1]"), said);
    }

    @Test
    void aRequestThatCannotBeReadIsARepliedFailureWithCellAndLaunch() throws Exception {
        request.put("schema", 2);
        RunReply reply = run();
        assertEquals(FailureKind.INPUT, reply.failure().kind());
        assertEquals("digits-fp32-onnx-cpu-t1-host-quick", reply.cell());
        assertTrue(reply.failure().message().contains("schema 2"));
    }

    @Test
    void aPreparationThatIsRefusedEndsTheLaunch() throws Exception {
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, inputs);
        RunReply reply = new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), null,
            null).run(place, () -> Affinity.bind("0", "taskset"));
        assertTrue(reply.failure().message().contains("core mask is '0'"), reply.failure().message());
    }
}
