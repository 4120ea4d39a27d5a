package org.phonebench.runner.core;

import java.io.BufferedWriter;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Writes a {@link RunReply} as {@code reply.json}. */
public final class ReplyWriter {
    public static final String FILE = "reply.json";

    private ReplyWriter() {}

    /** Write the reply atomically, so that no partial file is ever visible: temporary name, fsync, rename. */
    public static void write(Path folder, RunReply reply) throws IOException {
        Path temporary = folder.resolve(FILE + ".tmp");
        try (FileOutputStream file = new FileOutputStream(temporary.toFile())) {
            Writer out = new BufferedWriter(new OutputStreamWriter(file, StandardCharsets.UTF_8));
            write(out, reply);
            out.flush();
            file.getFD().sync();
        }
        Files.move(temporary, folder.resolve(FILE), StandardCopyOption.ATOMIC_MOVE);
    }

    /** Write the reply as JSON text. */
    public static void write(Writer out, RunReply reply) throws IOException {
        JsonText json = new JsonText(out).open('{');
        json.field("schema", RunRequest.SCHEMA).field("cell", reply.cell()).field("launch", reply.launch());
        json.field("status", word(reply.status()));
        runner(json.name("runner"), reply.runner());
        failure(json.name("failure"), reply.failure());
        results(json, reply.results());
        states(json.name("state"), reply.state());
        if (reply.encryptionKey() != null) {
            json.name("encryption_key").open('{').field("algorithm", reply.encryptionKey().algorithm());
            json.field("public_key", reply.encryptionKey().publicKey()).close('}');
        }
        json.close('}');
    }

    private static String word(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static void runner(JsonText json, RunReply.Runner runner) throws IOException {
        json.open('{').field("kind", runner.kind()).field("version", runner.version());
        json.field("debuggable", runner.debuggable());
        json.field("library_page_bytes", runner.libraryPageBytes()).close('}');
    }

    private static void failure(JsonText json, RunReply.Failure failure) throws IOException {
        if (failure == null) {
            json.value(null);
            return;
        }
        json.open('{').field("kind", word(failure.kind())).field("message", failure.message());
        json.field("detail", failure.detail()).close('}');
    }

    private static void results(JsonText json, RunReply.Results results) throws IOException {
        runtime(json.name("runtime"), results.runtime());
        load(json.name("load"), results.load());
        latency(json.name("latency"), results.latency());
        memory(json.name("memory"), results.memory());
        outputs(json.name("outputs"), results.outputs());
        json.name("profile").open('[');
        for (RunReply.OperatorTime operator : results.profile()) {
            json.next().open('{').field("name", operator.name()).field("kind", operator.kind());
            if (!operator.ranOn().isEmpty()) {
                json.field("ran_on", operator.ranOn());
            }
            json.field("samples_ns", operator.samplesNs()).close('}');
        }
        json.close(']');
        if (results.energy() != null) {
            energy(json.name("energy"), results.energy());
        }
        if (results.generations() != null) {
            generations(json.name("generation"), results.generations());
        }
    }

    private static void generations(JsonText json, RunReply.Generations all) throws IOException {
        json.open('{').field("prompt_tokens", all.promptTokens());
        generation(json.name("first"), all.first());
        generations(json.name("warmup"), all.warmup());
        generations(json.name("measured"), all.measured());
        json.field("chunks", all.chunks()).field("text_prompt", all.text());
        json.field("context_tokens", all.contextTokens());
        json.field("kv_cache_bytes", all.cacheBytes()).field("kv_cache_source", all.cacheSource()).close('}');
    }

    private static void generations(JsonText json, List<RunReply.Generation> list) throws IOException {
        json.open('[');
        for (RunReply.Generation one : list) {
            generation(json.next(), one);
        }
        json.close(']');
    }

    private static void generation(JsonText json, RunReply.Generation one) throws IOException {
        json.open('{').field("begin_ns", one.beginNs()).field("prefill_ns", one.prefillNs());
        json.field("tokens_ns", one.tokensNs()).field("tokens", one.tokens());
        json.field("ended", word(one.ended())).close('}');
    }

    private static void energy(JsonText json, RunReply.Energy energy) throws IOException {
        json.open('{').name("blocks").open('[');
        for (RunReply.EnergyBlock block : energy.blocks()) {
            json.next().open('{').field("kind", block.kind()).field("began_ns", block.beganNs());
            json.field("ended_ns", block.endedNs()).field("calls", block.calls());
            if (block.tokens() != null) {
                json.field("tokens", block.tokens());
            }
            json.close('}');
        }
        json.close(']').field("boot_offset_ns", energy.bootOffsetNs()).close('}');
    }

    private static void runtime(JsonText json, RunReply.Runtime runtime) throws IOException {
        if (runtime == null) {
            json.value(null);
            return;
        }
        json.open('{').field("name", runtime.name()).field("version", runtime.version());
        json.field("delegate_requested", word(runtime.delegateRequested()));
        json.field("delegate_used", runtime.delegateUsed()).field("threads", runtime.threads());
        json.field("nodes_total", runtime.nodesTotal()).field("nodes_delegated", runtime.nodesDelegated());
        json.field("partitions", runtime.partitions()).close('}');
    }

    private static void load(JsonText json, RunReply.Load load) throws IOException {
        if (load == null) {
            json.value(null);
            return;
        }
        json.open('{').field("first_ns", load.firstNs()).field("warm_ns", load.warmNs()).close('}');
    }

    private static void latency(JsonText json, RunReply.Latency latency) throws IOException {
        if (latency == null) {
            json.value(null);
            return;
        }
        json.open('{').field("first_ns", latency.firstNs()).field("warmup_ns", latency.warmupNs());
        json.field("samples_ns", latency.samplesNs()).field("at_ns", latency.atNs()).close('}');
    }

    private static void memory(JsonText json, RunReply.Memory memory) throws IOException {
        if (memory == null) {
            json.value(null);
            return;
        }
        json.open('{').field("definition", memory.definition()).field("baseline_bytes", memory.baselineBytes());
        json.field("loaded_bytes", memory.loadedBytes()).field("steady_bytes", memory.steadyBytes());
        json.field("peak_bytes", memory.peakBytes()).field("retained_bytes", memory.retainedBytes());
        json.field("mapped_bytes", memory.mappedBytes());
        json.name("split").open('[');
        for (RunReply.MemorySplit split : memory.split()) {
            json.next().open('{').field("at", split.at()).field("anonymous_bytes", split.anonymousBytes());
            json.field("file_bytes", split.fileBytes()).field("shared_bytes", split.sharedBytes());
            json.field("swap_bytes", split.swapBytes()).field("pss_bytes", split.proportionalBytes()).close('}');
        }
        json.close(']').close('}');
    }

    private static void outputs(JsonText json, RunReply.Outputs outputs) throws IOException {
        if (outputs == null) {
            json.value(null);
            return;
        }
        json.open('{').field("file", outputs.file()).field("count", outputs.count()).name("tensors").open('[');
        for (TensorSpec spec : outputs.tensors()) {
            json.next().open('{').field("name", spec.name()).field("dtype", spec.dtype().wireName());
            json.field("shape", TensorSpec.longs(spec.shape())).close('}');
        }
        json.close(']').close('}');
    }

    private static void states(JsonText json, RunReply.States states) throws IOException {
        if (states == null) {
            json.value(null);
            return;
        }
        json.open('{');
        sample(json.name("before"), states.before());
        sample(json.name("after"), states.after());
        json.name("series").open('[');
        for (RunReply.StateSample sample : states.series()) {
            sample(json.next(), sample);
        }
        json.close(']').close('}');
    }

    private static void sample(JsonText json, RunReply.StateSample sample) throws IOException {
        json.open('{').field("at_ns", sample.atNs()).field("thermal_status", sample.thermalStatus());
        json.field("thermal_headroom", sample.thermalHeadroom());
        json.name("temperatures_c").open('{');
        for (Map.Entry<String, Double> entry : sample.temperaturesC().entrySet()) {
            json.field(entry.getKey(), entry.getValue());
        }
        json.close('}').field("cpu_khz", longs(sample.cpuKhz())).field("governor", sample.governor());
        json.field("load_1m", sample.load1m()).field("available_bytes", sample.availableBytes());
        json.field("battery_percent", sample.batteryPercent()).field("charging", sample.charging()).close('}');
    }

    private static long[] longs(List<Long> values) {
        long[] array = new long[values.size()];
        for (int at = 0; at < array.length; at++) {
            array[at] = values.get(at);
        }
        return array;
    }
}
