package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import org.json.JSONObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class RequestReaderTest {
    private static String full() throws Exception {
        return Golden.text("request-full.json");
    }

    @Test
    void theFullRequestIsReadInWhole() throws Exception {
        RunRequest request = RequestReader.read(full());
        assertEquals("digits-int8-tflite-xnnpack-t2-host-quick", request.cell());
        assertEquals(3, request.launch());
        assertEquals("tflite", request.artifact().format());
        assertEquals("digits-int8.tflite.data", request.artifact().parts().get(1).file());
        assertEquals(new RunRequest.Runtime(Delegate.XNNPACK, 2, Collections.singletonMap("example", "on")),
            request.runtime());
        assertEquals(new TensorSpec("tokens", DType.INT64, Arrays.asList(1, 16)), request.inputs().tensors().get(1));
        assertEquals(4 * 64 + 8 * 16, request.inputs().recordBytes());
        RunRequest.Limits warmup = new RunRequest.Limits(3, 500_000_000L, 30_000_000_000L);
        RunRequest.Limits measure = new RunRequest.Limits(50, 3_000_000_000L, 30_000_000_000L);
        assertEquals(new RunRequest.Passes(new RunRequest.Latency(warmup, measure, 1_000_000, 0),
            new RunRequest.Memory(10, 200_000_000), new RunRequest.Outputs(360), new RunRequest.Profile(5)),
            request.passes());
    }

    @Test
    void aShapeWithoutSizesIsThatOfOneElement() throws Exception {
        String text = full().replaceFirst("\"shape\": \\[\\s*1,\\s*16\\s*\\]", "\"shape\": []");
        RunRequest.Inputs inputs = RequestReader.read(text).inputs();
        assertEquals(Collections.emptyList(), inputs.tensors().get(1).shape());
        assertEquals(4 * 64 + 8, inputs.recordBytes());
    }

    @Test
    void whatTheMinimalRequestLeavesOutHasItsDefault() throws Exception {
        RunRequest request = RequestReader.read(Golden.text("request-minimal.json"));
        assertNull(request.passes().latency());
        assertNull(request.passes().memory());
        assertEquals(Collections.emptyMap(), request.runtime().options());
        assertEquals(1, request.artifact().parts().size());
    }

    @Test
    void thePassesOfALanguageModelAreRead() throws Exception {
        String text = Golden.text("request-language.json");
        RunRequest.Passes passes = RequestReader.read(text).passes();
        RunRequest.Limits measure = new RunRequest.Limits(5, 3_000_000_000L, 30_000_000_000L);
        RunRequest.Limits warmup = new RunRequest.Limits(1, 0, 30_000_000_000L);
        assertEquals(new RunRequest.Generate(4, 3, warmup, measure, "", ""), passes.generate());
        assertEquals(2, passes.inputsNeeded());
        String worded = text.replace("\"new_tokens\"",
            "\"prompt_text\": \" a b\", \"tokenizer\": \"t.json\", \"new_tokens\"");
        assertEquals(" a b", RequestReader.read(worded).passes().generate().promptText());
        assertEquals("t.json", RequestReader.read(worded).passes().generate().tokenizer());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "\"prompt_tokens\": 4 | \"prompt_tokens\": 0 | passes.generate.prompt_tokens is 0",
        "\"new_tokens\": 3 | \"new_tokens\": -1 | passes.generate.new_tokens is -1",
        "\"new_tokens\": 3 | \"new_tokens\": 3, \"tokenizer\": \"../x\" | passes.generate.tokenizer is ../x",
    })
    void lengthsAndNamesThatCannotBeAreRefused(String good, String bad, String says) throws Exception {
        String text = Golden.text("request-language.json").replace(good, bad);
        String said = assertThrows(RequestException.class, () -> RequestReader.read(text)).getMessage();
        assertTrue(said.contains(says), said);
    }

    @Test
    void anotherSchemaIsRefusedByBothVersions() throws Exception {
        String text = Golden.text("request-other-schema.json");
        String said = assertThrows(RequestException.class, () -> RequestReader.read(text)).getMessage();
        assertTrue(said.contains("schema 2") && said.contains("schema 1"), said);
        assertEquals(new RequestReader.Head("digits-int8-tflite-xnnpack-t2-host-quick", 3), RequestReader.head(text));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "\"launch\": 3 | \"launch\": \"3\" | launch is 3; it must be an integer",
        "\"launch\": 3 | \"launch\": -1 | launch is -1",
        "\"min_ns\": 500000000 | \"min_ns\": 500000000.5 | passes.latency.warmup.min_ns is 5.000000005E8",
        "\"settle_ns\": 200000000 | \"settle_ns\": -5 | passes.memory.settle_ns is -5",
        "\"delegate\": \"xnnpack\" | \"delegate\": \"tpu\" | one of cpu, xnnpack, gpu, nnapi, coreml, qnn",
        "\"threads\": 2 | \"threads\": 0 | runtime.threads is 0",
        "\"count\": 360, | \"count\": 0, | inputs.count is 0",
        "\"dtype\": \"int64\" | \"dtype\": \"int63\" | inputs.tensors[1].dtype is int63",
        "\"file\": \"inputs.bin\" | \"file\": \"../inputs.bin\" | inputs.file is ../inputs.bin; it must be a plain",
        "\"sha256\": \"9f86 | \"sha256\": \"XX86 | artifact.sha256",
        "\"example\": \"on\" | \"example\": 1 | options.example is",
        "\"cell\": | \"sell\": | cell is missing",
    })
    void aRequestThatIsWrongIsRefusedWithTheField(String right, String wrong, String said) throws Exception {
        String text = full().replace(right, wrong);
        String message = assertThrows(RequestException.class, () -> RequestReader.read(text)).getMessage();
        assertTrue(message.contains(said), message);
    }

    @Test
    void aKeyThatIsNotKnownIsIgnored() throws Exception {
        JSONObject more = Golden.json("request-full.json").put("added_later", new JSONObject().put("x", 1));
        assertEquals(RequestReader.read(full()), RequestReader.read(more.toString()));
    }

    @ParameterizedTest
    @CsvSource({"''", "{", "[1]", "null"})
    void whatIsNoRequestIsRefusedAndHasAnEmptyHead(String text) {
        assertThrows(RequestException.class, () -> RequestReader.read(text));
        assertEquals(new RequestReader.Head("", 0), RequestReader.head(text));
    }

    @Test
    void anEnergyPassIsRead() throws Exception {
        RunRequest request = RequestReader.read(Golden.text("request-energy.json"));
        assertEquals(new RunRequest.Energy(40_000_000_000L, 3_000_000_000L), request.passes().energy());
    }
}
