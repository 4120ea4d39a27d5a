package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import org.json.JSONObject;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The passes of a language model, from the request to the reply. Two inputs of three tokens, a prompt of four. */
final class LanguageLaunchTest {
    private static final RunReply.Runner INFO = new RunReply.Runner("desktop", "1", false, null);

    @TempDir
    Path folder;
    private final TalkingAdapter adapter = new TalkingAdapter();
    private JSONObject request;

    @BeforeEach
    void aJob() throws Exception {
        request = Golden.json("request-language.json");
        Path model = Files.write(folder.resolve("model.pte"), "the model".getBytes(StandardCharsets.UTF_8));
        Path tokenizer = Files.write(folder.resolve("t.json"), "{}".getBytes(StandardCharsets.UTF_8));
        JSONObject artifact = request.getJSONObject("artifact").put("file", "model.pte").put("format", "pte");
        artifact.put("sha256", Digest.sha256(model)).getJSONArray("companions").getJSONObject(0)
            .put("file", "t.json").put("sha256", Digest.sha256(tokenizer));
        tokens(0, 1, 2, 3, 4, 0);
        generate().getJSONObject("measure").put("min_calls", 2).put("min_ns", 0);
    }

    private JSONObject generate() throws Exception {
        return request.getJSONObject("passes").getJSONObject("generate");
    }

    private void tokens(int... values) throws Exception {
        ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asIntBuffer().put(values);
        Files.write(folder.resolve("inputs.bin"), buffer.array());
        request.getJSONObject("inputs").getJSONArray("tensors").getJSONObject(0).getJSONArray("shape").put(0, 3);
    }

    private void asText(String text, String script) throws Exception {
        generate().put("prompt_text", text).put("tokenizer", "t.json");
        adapter.script = script;
    }

    private RunReply run() throws Exception {
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        return new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), null, null)
            .run(JobPlace.plain(folder), () -> { });
    }

    @Test
    void tokensGoInInPiecesAndEachNewOneIsTimed() throws Exception {
        RunReply reply = run();
        assertNull(reply.failure());
        RunReply.Generations all = reply.results().generations();
        assertEquals(2, all.measured().size());
        assertEquals(1, all.warmup().size());
        RunReply.Generation one = all.measured().get(1);
        assertEquals(3, one.tokens());
        assertTrue(0 <= one.prefillNs() && one.prefillNs() <= one.tokensNs()[0]);
        assertTrue(one.tokensNs()[0] <= one.tokensNs()[1] && one.tokensNs()[1] <= one.tokensNs()[2]);
        assertArrayEquals(new long[] {all.measured().get(0).totalNs(), one.totalNs()},
            reply.results().latency().samplesNs());
        // Five generations (one first, one to warm up, two measured; two for memory), then the scores.
        assertEquals(Arrays.asList("start", "load", "generate", "run 3 at 0", "run 1 at 3", "run 1 at 4", "run 1 at 5"),
            adapter.events.subList(0, 7));
        assertEquals(6, Collections.frequency(adapter.events, "generate"));
        assertEquals(1, reply.results().load().warmNs().length);
    }

    @Test
    void likelihoodsAreThoseOfTheSoftmax() throws Exception {
        tokens(0, 1, 3, 4, 0, 0);
        run();
        ByteBuffer outputs = ByteBuffer.wrap(Files.readAllBytes(folder.resolve("outputs.bin")))
            .order(ByteOrder.LITTLE_ENDIAN);
        double total = Math.log(Math.exp(TalkingAdapter.AHEAD) + 4);
        float likely = (float) (total - TalkingAdapter.AHEAD);
        float unlikely = (float) total;
        float[] nll = {outputs.getFloat(0), outputs.getFloat(4), outputs.getFloat(16), outputs.getFloat(20)};
        assertArrayEquals(new float[] {likely, unlikely, likely, unlikely}, nll, 1e-6f);
        assertEquals(Arrays.asList(1, 2, 0, 1), Arrays.asList(outputs.getInt(8), outputs.getInt(12),
            outputs.getInt(24), outputs.getInt(28)));
        assertEquals(32, outputs.capacity());
    }

    @Test
    void theReplyIsWrittenAsTheHostReadsIt() throws Exception {
        StringWriter text = new StringWriter();
        request.getJSONObject("passes").put("energy", new JSONObject("{\"idle_ns\":1000,\"settle_ns\":0}"));
        ReplyWriter.write(text, run());
        JSONObject reply = new JSONObject(text.toString());
        JSONObject generation = reply.getJSONObject("generation");
        assertEquals(4, generation.getInt("prompt_tokens"));
        assertEquals("length", generation.getJSONObject("first").getString("ended"));
        assertEquals(480, generation.getInt("kv_cache_bytes"));
        assertEquals(12, generation.getInt("context_tokens"));
        JSONObject load = reply.getJSONObject("energy").getJSONArray("blocks").getJSONObject(1);
        assertEquals(6, load.getInt("tokens"));
        assertEquals(2, load.getInt("calls"));
    }

    @Test
    void aTextIsTimedByItsCallbacksAndCountedByTheRuntime() throws Exception {
        asText("abcd", "...");
        RunReply.Generations all = run().results().generations();
        RunReply.Generation one = all.measured().get(0);
        assertTrue(all.text());
        assertEquals(3, one.tokens());
        assertEquals(3, one.tokensNs().length);
        assertNull(one.prefillNs());
        assertEquals(RunReply.Ending.LENGTH, one.ended());
        assertEquals(Arrays.asList("load", "generate", "reset"), adapter.events.subList(1, 4));
    }

    @ParameterizedTest
    @CsvSource({
        "'.-.', 3, 3, LENGTH",
        // A character that was not complete at the end: its tokens were there when the runtime ended.
        "'..-', 3, 3, LENGTH",
        "'..', 2, 2, END",
        // The runtime would go on, and is stopped after as many tokens as were asked for.
        "'.......', 3, 3, LENGTH",
    })
    void fewerCallbacksThanTokensAreChunks(String script, int tokens, int times, String ended) throws Exception {
        asText("abcd", script);
        RunReply reply = run();
        assertNull(reply.failure());
        RunReply.Generation one = reply.results().generations().measured().get(0);
        assertEquals(tokens, one.tokens());
        assertEquals(times, one.tokensNs().length);
        assertEquals(RunReply.Ending.valueOf(ended), one.ended());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "abcde | ... | 0 | INPUT | makes 5 tokens of a prompt that has 4",
        "abcd | . | 0 | RUN | the model ended after 1 of 3 tokens",
        "abcd | ... | 2 | RUN | counts 5 new tokens, called back 3 times",
        "abcd | ... | -1 | RUN | without its statistics",
    })
    void countsThatDisagreeAreAFailure(String text, String script, int uncounted, FailureKind kind, String says)
            throws Exception {
        asText(text, script);
        adapter.uncounted = uncounted;
        RunReply reply = run();
        assertEquals(kind, reply.failure().kind());
        assertTrue(reply.failure().message().contains(says), reply.failure().message());
        assertTrue(adapter.events.contains("close"));
    }

    @Test
    void aTokenThatTheModelDoesNotHaveIsRefused() throws Exception {
        tokens(0, 1, 5, 3, 4, 0);
        String said = run().failure().message();
        assertTrue(said.contains("has the token 5, and the model has the tokens 0 to 4"), said);
    }

    @Test
    void aContextThatIsTooSmallIsUnsupported() throws Exception {
        generate().put("prompt_tokens", 10);
        RunReply reply = run();
        assertEquals(RunReply.Status.UNSUPPORTED, reply.status());
        assertTrue(reply.failure().message().contains("13 tokens; this file has 12"), reply.failure().message());
    }

    @Test
    void anAppOfAnotherRuntimeRefusesInASentence() throws Exception {
        request.getJSONObject("artifact").put("format", "onnx");
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        RunReply reply = new JobRunner(Collections.singletonList(new DoublingAdapter()), INFO,
            new LinuxState(Paths.get("/")), null, null).run(JobPlace.plain(folder), () -> { });
        assertEquals(RunReply.Status.UNSUPPORTED, reply.status());
        assertTrue(reply.failure().message().contains("does not run language models"), reply.failure().message());
    }
}
