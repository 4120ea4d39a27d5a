package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.json.JSONObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ReplyWriterTest {
    private static final RunReply.Runner RUNNER = new RunReply.Runner("android-app", "0.1.0", true, 4096L);

    @Test
    void theFullReplyIsWrittenAsTheGoldenFileHasIt() throws Exception {
        assertEquals(Golden.plain(Golden.json("reply-ok-full.json")), Golden.plain(written(full())));
    }

    @Test
    void aReplyOfFailureSaysNothingItDoesNotKnow() throws Exception {
        RunReply.Failure failure = new RunReply.Failure(FailureKind.DIGEST, "not the one: \"x\" \u00e9", "");
        JSONObject written = written(new RunReply("cell", 1, RunReply.Status.FAILED, RUNNER, failure, nothing(), null));
        assertEquals("digest", written.getJSONObject("failure").getString("kind"));
        assertEquals("not the one: \"x\" \u00e9", written.getJSONObject("failure").getString("message"));
        for (String key : Arrays.asList("runtime", "load", "latency", "memory", "outputs", "state")) {
            assertTrue(written.isNull(key), key);
        }
    }

    @Test
    void aNumberThatIsNotFiniteIsNull() throws Exception {
        StringWriter out = new StringWriter();
        JsonText json = new JsonText(out).open('{').field("a", Double.NaN).field("b", 0.5);
        json.field("c", Float.POSITIVE_INFINITY).close('}');
        assertEquals("{\"a\":null,\"b\":0.5,\"c\":null}", out.toString());
    }

    @Test
    void theFileIsWholeAndNothingIsLeftBesideIt(@TempDir Path folder) throws Exception {
        Files.write(folder.resolve("reply.json"), "old".getBytes(StandardCharsets.UTF_8));
        ReplyWriter.write(folder, full());
        String text = new String(Files.readAllBytes(folder.resolve("reply.json")), StandardCharsets.UTF_8);
        assertEquals("ok", new JSONObject(text).getString("status"));
        assertFalse(Files.exists(folder.resolve("reply.json.tmp")));
    }

    private static JSONObject written(RunReply reply) throws Exception {
        StringWriter out = new StringWriter();
        ReplyWriter.write(out, reply);
        return new JSONObject(out.toString());
    }

    private static RunReply.Results nothing() {
        return new RunReply.Results(null, null, null, null, null, Collections.emptyList());
    }

    private static RunReply full() {
        RunReply.Memory memory = new RunReply.Memory(
            "owned memory of the runner process: RssAnon + VmSwap of /proc/self/status, in bytes",
            41943040, 45088768, 46137344, 52428800L, 42205184L, 1048576L,
            Arrays.asList(
                new RunReply.MemorySplit("baseline", 41943040L, 60817408L, 262144L, 0L, 63963136L),
                new RunReply.MemorySplit("loaded", 45088768L, 61865984L, 262144L, 0L, 68157440L),
                new RunReply.MemorySplit("steady", 46137344L, 61865984L, 262144L, 0L, 69206016L),
                new RunReply.MemorySplit("retained", 42205184L, 60817408L, null, null, null)));
        List<RunReply.OperatorTime> profile = Arrays.asList(
            new RunReply.OperatorTime("conv_0", "CONV_2D", "", new long[] {610000, 605000, 607000, 604000, 606000}),
            new RunReply.OperatorTime("head", "FULLY_CONNECTED", "", new long[] {98000, 97000, 97000, 99000, 97000}));
        RunReply.Results results = new RunReply.Results(
            new RunReply.Runtime("litert", "2.3.0", Delegate.XNNPACK, "xnnpack", 2, 31, 29, 2),
            new RunReply.Load(12345678, new long[] {4000001}),
            new RunReply.Latency(2500000, new long[] {1300000, 1210000, 1190000},
                new long[] {1180000, 1182500, 1179900, 1181000}, new long[0]),
            memory,
            new RunReply.Outputs("outputs.bin", 360,
                Collections.singletonList(new TensorSpec("output_0", DType.FLOAT32, Arrays.asList(1, 10)))),
            profile);
        return new RunReply("digits-int8-tflite-xnnpack-t2-host-quick", 3, RunReply.Status.OK, RUNNER, null, results,
            new RunReply.States(state(1_000_000_000L, 0.5f, 29.5, 32.0, 81.0),
                state(9_000_000_000L, 0.75f, 31.0, 33.5, 80.0),
                Collections.singletonList(state(5_000_000_000L, 0.625f, 30.5, 33.0, 81.0))));
    }

    private static RunReply.StateSample state(long atNs, float headroom, double battery, double skin,
            double percent) {
        Map<String, Double> temperatures = new LinkedHashMap<>();
        temperatures.put("battery", battery);
        temperatures.put("skin", skin);
        return new RunReply.StateSample(atNs, "none", headroom, temperatures,
            Arrays.asList(1804800L, 1804800L, 2841600L), "schedutil", 1.25, 3221225472L, percent, false);
    }

    @Test
    void theBlocksOfAnEnergyPassAreWrittenAsTheGoldenFileHasThem() throws Exception {
        JSONObject golden = Golden.json("reply-ok-energy.json").getJSONObject("energy");
        golden.remove("counter");
        golden.getJSONArray("blocks").getJSONObject(1).remove("tokens");
        RunReply.Energy energy = new RunReply.Energy(
            Arrays.asList(new RunReply.EnergyBlock("idle", 3_000_000_000L, 43_000_000_000L, 0),
                new RunReply.EnergyBlock("load", 46_000_000_000L, 86_000_000_000L, 40_000)),
            7_000_000_000_000L);
        RunReply.Results results =
            new RunReply.Results(null, null, null, null, null, Collections.emptyList(), energy);
        RunReply reply = new RunReply("c", 0, RunReply.Status.OK, RUNNER, null, results, null);
        assertEquals(Golden.plain(golden), Golden.plain(written(reply).getJSONObject("energy")));
    }
}
