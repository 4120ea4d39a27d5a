package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The passes of a language model, where one generation is one call.
 *
 * <p>The rules of the latency pass decide how many generations there are. The time of a whole one is also its latency.
 */
final class LanguageLaunch {
    private static final int BYTES = 4;

    private final RunRequest request;
    private final RunRequest.Generate asked;
    private final JobInputs inputs;
    private final LatencyPass.Clock clock;
    private final List<RunReply.Generation> warmup = new ArrayList<>();
    private final List<RunReply.Generation> measured = new ArrayList<>();
    private RunReply.Generation first;
    private LanguageSession session;
    private LanguageSession.Facts facts = LanguageSession.Facts.NONE;
    private LanguageSession.Prompt prompt;

    LanguageLaunch(RunRequest request, JobInputs inputs, LatencyPass.Clock clock) {
        this.request = request;
        this.asked = request.passes().generate();
        this.inputs = inputs;
        this.clock = clock;
    }

    /** Take the loaded model and check that it can do what is asked; return what it reports about itself. */
    RunReply.Runtime begin(LanguageSession loaded) throws RunFailure {
        session = loaded;
        facts = loaded.facts();
        if (asked != null) {
            checkLengths();
            prompt = prompt();
        }
        return loaded.report();
    }

    /** Generate until the minima of the warm-up and of measuring are met. */
    void generate() throws RunFailure {
        System.gc();
        first = call();
        if (asked.warmup().minCalls() > 0 || asked.warmup().minNs() > 0) {
            calls(asked.warmup(), warmup);
        }
        calls(asked.measure(), measured);
    }

    /** Generate once without keeping the times, for the memory pass. */
    void generateUntimed() throws RunFailure {
        session.generate(prompt, asked.newTokens());
    }

    /** Release the model. A second call does nothing. */
    void close() {
        if (session != null) {
            session.close();
            session = null;
        }
    }

    /** What the passes recorded; null if nothing was generated yet. */
    RunReply.Generations reply() {
        if (first == null) {
            return null;
        }
        boolean chunks = false;
        for (RunReply.Generation one : measured) {
            chunks |= one.tokensNs().length != one.tokens();
        }
        return new RunReply.Generations(asked.promptTokens(), first, warmup, measured, chunks, prompt.text() != null,
            facts.contextTokens(), facts.cacheBytes(), facts.cacheSource());
    }

    /** The time of each whole generation; null if none was measured yet. */
    RunReply.Latency latency() {
        if (measured.isEmpty()) {
            return null;
        }
        long[] atNs = measured.stream().mapToLong(one -> one.beginNs() - measured.get(0).beginNs()).toArray();
        return new RunReply.Latency(first.totalNs(), totals(warmup), totals(measured), atNs);
    }

    /** The load block of an energy pass; null if nothing was measured yet. */
    RunReply.EnergyBlock load() {
        if (measured.isEmpty()) {
            return null;
        }
        RunReply.Generation last = measured.get(measured.size() - 1);
        long tokens = measured.stream().mapToLong(RunReply.Generation::tokens).sum();
        return new RunReply.EnergyBlock("load", measured.get(0).beginNs(), last.beginNs() + last.totalNs(),
            measured.size(), tokens);
    }

    /** Score the inputs {@code 0 … count - 1} and write {@code outputs.bin}, which is synced when this returns. */
    RunReply.Outputs score(Path folder, int count) throws RunFailure {
        int scored = 0;
        try (FileChannel file = FileChannel.open(folder.resolve(JobOutputs.FILE), StandardOpenOption.CREATE,
                StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (int index = 0; index < count; index++) {
                int[] row = tokens(index);
                TokenScores scores = session.score(row);
                scored = scores.nll().length;
                ByteBuffer nll = ByteBuffer.allocate(BYTES * scored).order(ByteOrder.LITTLE_ENDIAN);
                nll.asFloatBuffer().put(scores.nll());
                ByteBuffer top1 = ByteBuffer.allocate(BYTES * scored).order(ByteOrder.LITTLE_ENDIAN);
                top1.asIntBuffer().put(scores.top1());
                JobOutputs.writeAll(file, nll);
                JobOutputs.writeAll(file, top1);
            }
            file.force(true);
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.STORAGE, "cannot write '" + JobOutputs.FILE + "': "
                + RunFailure.firstLine(error) + "; free some disk space", error);
        }
        List<Integer> shape = Arrays.asList(scored);
        return new RunReply.Outputs(JobOutputs.FILE, count, Arrays.asList(
            new TensorSpec("nll", DType.FLOAT32, shape), new TensorSpec("top1", DType.INT32, shape)));
    }

    private void calls(RunRequest.Limits limits, List<RunReply.Generation> kept) throws RunFailure {
        long began = clock.nanos();
        long elapsed;
        do {
            kept.add(call());
            elapsed = clock.nanos() - began;
        } while ((kept.size() < limits.minCalls() || elapsed < limits.minNs()) && elapsed < limits.maxNs());
    }

    private RunReply.Generation call() throws RunFailure {
        RunReply.Generation one = session.generate(prompt, asked.newTokens());
        if (one.tokensNs().length < Math.min(2, asked.newTokens())) {
            throw RunFailure.failed(FailureKind.RUN, "the model ended after " + one.tokens() + " of "
                + asked.newTokens() + " tokens, so there is no decode rate: use another prompt, or a file whose"
                + " tokens that end a text (get_eos_ids) it does not choose");
        }
        return one;
    }

    private void checkLengths() throws RunFailure {
        long total = (long) asked.promptTokens() + asked.newTokens();
        Long context = facts.contextTokens();
        if (context != null && total > context) {
            throw RunFailure.unsupported(FailureKind.INPUT, "a prompt of " + asked.promptTokens() + " tokens and "
                + asked.newTokens() + " new ones need a context of " + total + " tokens; this file has " + context
                + ": shorten --prompt or --new-tokens, or build it with a longer context");
        }
    }

    /** The first tokens of the inputs, from the start again where they are too few. */
    private LanguageSession.Prompt prompt() throws RunFailure {
        int[] tokens = new int[asked.promptTokens()];
        int filled = 0;
        for (int index = 0; filled < tokens.length; index = (index + 1) % request.inputs().count()) {
            int[] row = tokens(index);
            int taken = Math.min(row.length, tokens.length - filled);
            System.arraycopy(row, 0, tokens, filled, taken);
            filled += taken;
        }
        return new LanguageSession.Prompt(tokens, asked.promptText().isEmpty() ? null : asked.promptText());
    }

    private int[] tokens(int index) throws RunFailure {
        List<Tensor> tensors = inputs.asGiven(index);
        if (tensors.size() != 1 || tensors.get(0).dtype().sort() != DType.Sort.INTEGER
                || tensors.get(0).elements() == 0) {
            throw RunFailure.failed(FailureKind.INPUT, "input " + index + " is not one tensor of token ids");
        }
        Tensor tensor = tensors.get(0);
        int[] tokens = new int[Math.toIntExact(tensor.elements())];
        for (int at = 0; at < tokens.length; at++) {
            long token = tensor.integer(at);
            if (token < 0 || facts.vocabulary() != null && token >= facts.vocabulary()) {
                throw RunFailure.failed(FailureKind.INPUT, "input " + index + " has the token " + token
                    + ", and the model has the tokens 0 to " + (facts.vocabulary() == null ? "?"
                    : String.valueOf(facts.vocabulary() - 1)) + ": the tokenizer does not belong to this model");
            }
            tokens[at] = (int) token;
        }
        return tokens;
    }

    private static long[] totals(List<RunReply.Generation> generations) {
        return generations.stream().mapToLong(RunReply.Generation::totalNs).toArray();
    }
}
