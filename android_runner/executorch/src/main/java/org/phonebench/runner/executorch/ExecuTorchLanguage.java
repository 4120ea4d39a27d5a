package org.phonebench.runner.executorch;

import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.LanguageSession;
import org.phonebench.runner.core.LogitsLoop;
import org.phonebench.runner.core.LogitsProgram;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.TextRun;
import org.phonebench.runner.core.TokenScores;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;
import org.pytorch.executorch.extension.llm.LlmModule;

/**
 * A language model. ExecuTorch's own runner generates if there is a text and a tokenizer; the method {@code forward},
 * called token by token, scores, and generates where there is no tokenizer.
 *
 * <p>The two are never loaded together, because each packs the weights anew. The program itself stays open: it holds
 * the constants, and without its methods it is only a mapped file.
 */
final class ExecuTorchLanguage implements LanguageSession {
    // Methods without inputs that exporters write. The last one is phonebench's own.
    private static final List<String> CONTEXT = Arrays.asList("get_max_context_len", "get_max_seq_len");
    private static final String VOCABULARY = "get_vocab_size";
    private static final String CACHE = "get_kv_cache_bytes";

    private final Module module;
    private final RunReply.Runtime report;
    private final Facts facts;
    private final int mostTokens;
    private LlmModule runner;
    private LogitsLoop loop;

    private ExecuTorchLanguage(Module module, LlmModule runner, RunReply.Runtime report) {
        this.module = module;
        this.runner = runner;
        this.report = report;
        List<String> methods = Arrays.asList(module.getMethods());
        Long context = null;
        for (String name : CONTEXT) {
            context = context == null ? constant(methods, name) : context;
        }
        Long cache = constant(methods, CACHE);
        String source = cache == null ? "" : "computed at export: 2 x layers x heads of keys x head size x 4 bytes of"
            + " float32 x the whole context, which is " + context + " tokens";
        this.facts = new Facts(context, constant(methods, VOCABULARY), cache, source);
        Long sequence = constant(methods, "get_max_seq_len");
        // The bound of the exporters' dynamic shape is one below the longest sequence.
        this.mostTokens = sequence == null ? 1 : (int) Math.max(1, sequence - 1);
    }

    /** Load a file of the request, ready to generate. {@code module} is not loaded further than its constants. */
    static ExecuTorchLanguage load(Path file, RunRequest request, ExecuTorchAdapter.Opener opener) throws RunFailure {
        RunRequest.Generate asked = request.passes().generate();
        boolean text = asked != null && !asked.promptText().isEmpty() && !asked.tokenizer().isEmpty();
        LlmModule runner = text ? runner(file, file.resolveSibling(asked.tokenizer())) : null;
        // The threads belong to the whole library. A runner sets their number when it is made, and this sets it again.
        Module module = null;
        try {
            module = opener.open();
            ExecuTorchLanguage session = new ExecuTorchLanguage(module, runner, opener.report(module));
            session.requireChunks(text);
            if (runner == null) {
                session.loop = session.loadForward();
            } else {
                runner.load();
            }
            return session;
        } catch (RuntimeException | RunFailure error) {
            if (runner != null) {
                runner.close();
            }
            if (module != null) {
                module.close();
            }
            throw error instanceof RunFailure failure ? failure
                : RunFailure.load(ExecuTorchAdapter.TITLE, file.getFileName().toString(), error);
        }
    }

    private static LlmModule runner(Path file, Path tokenizer) throws RunFailure {
        if (!Files.isReadable(tokenizer)) {
            throw RunFailure.failed(FailureKind.INPUT, "the request names the tokenizer '" + tokenizer.getFileName()
                + "', which is not among the files of the artifact: deploy it again");
        }
        try {
            return new LlmModule(file.toString(), tokenizer.toString(), 0f);
        } catch (RuntimeException error) {
            throw RunFailure.load(ExecuTorchAdapter.TITLE, file.getFileName().toString(), error);
        }
    }

    /**
     * Refuse a program by another exporter without a tokenizer. The Java API does not tell whether {@code forward}
     * takes the place of the first token of a call or of each, which differs for prompts.
     */
    private void requireChunks(boolean text) throws RunFailure {
        if (!text && facts.cacheBytes() == null) {
            throw RunFailure.unsupported(FailureKind.INPUT, "this .pte was not built by phonebench and comes without a"
                + " tokenizer, so the app cannot feed a prompt to it: put tokenizer.json or tokenizer.model beside the"
                + " file");
        }
    }

    @Override
    public Facts facts() {
        return facts;
    }

    @Override
    public RunReply.Generation generate(Prompt prompt, int newTokens) throws RunFailure {
        if (runner == null) {
            return forward().generate(prompt.tokens(), newTokens);
        }
        return TextRun.generate(new RunnerCalls(runner), prompt, newTokens);
    }

    @Override
    public TokenScores score(int[] tokens) throws RunFailure {
        return forward().score(tokens);
    }

    @Override
    public RunReply.Runtime report() {
        return report;
    }

    @Override
    public void close() {
        closeRunner();
        loop = null;
        module.close();
    }

    private void closeRunner() {
        if (runner != null) {
            runner.close();
            runner = null;
        }
    }

    private LogitsLoop forward() throws RunFailure {
        if (loop == null) {
            closeRunner();
            try {
                loop = loadForward();
            } catch (RuntimeException error) {
                throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
            }
        }
        return loop;
    }

    private LogitsLoop loadForward() {
        module.loadMethod(ExecuTorchAdapter.METHOD);
        return new LogitsLoop(new Forward());
    }

    /** What a method without inputs returns, if it is there and that is a whole number. */
    private Long constant(List<String> methods, String name) {
        if (!methods.contains(name)) {
            return null;
        }
        EValue[] values = module.execute(name);
        return values.length == 1 && values[0].isInt() ? values[0].toInt() : null;
    }

    /** The method {@code forward}: tokens and the place of the first of them become logits. */
    private final class Forward implements LogitsProgram {
        private float[] logits = {};

        @Override
        public float[] run(long[] tokens, int place) throws RunFailure {
            try {
                EValue[] results = module.forward(
                    EValue.from(Tensor.fromBlob(tokens, new long[] {1, tokens.length})),
                    EValue.from(Tensor.fromBlob(new long[] {place}, new long[] {1})));
                return last(results[0].toTensor());
            } catch (RuntimeException error) {
                throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
            }
        }

        @Override
        public int mostTokens() {
            return mostTokens;
        }

        /** The last row of logits; an array is allocated once, unless the program returns several rows. */
        private float[] last(Tensor tensor) {
            long[] shape = tensor.shape();
            int vocabulary = (int) shape[shape.length - 1];
            if (logits.length != vocabulary) {
                logits = new float[vocabulary];
            }
            if (tensor.numel() == vocabulary) {
                tensor.copyDataInto(FloatBuffer.wrap(logits));
                return logits;
            }
            float[] all = tensor.getDataAsFloatArray();
            System.arraycopy(all, all.length - vocabulary, logits, 0, vocabulary);
            return logits;
        }
    }
}
