package org.phonebench.runner.core;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A language model of five tokens for tests. After token t it finds t + 1 likeliest by far, and the others equal.
 *
 * <p>With a text it counts a token per letter, as many as a runtime would.
 */
final class TalkingAdapter implements RuntimeAdapter {
    static final int VOCABULARY = 5;
    static final float AHEAD = 2f;

    final List<String> events = new ArrayList<>();
    /** What the runtime's own runner does at each new token, {@code .} for a callback and {@code -} for none. */
    String script = "";
    /** What it counts beside that. */
    int uncounted;

    @Override
    public String format() {
        return "pte";
    }

    @Override
    public void start(RunRequest.Runtime request) {
        events.add("start");
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        throw RunFailure.failed(FailureKind.LOAD, "this is a language model");
    }

    @Override
    public LanguageSession loadLanguage(Path file, RunRequest request) throws RunFailure {
        events.add("load");
        String tokenizer = request.passes().generate().tokenizer();
        if (!tokenizer.isEmpty() && !Files.exists(file.resolveSibling(tokenizer))) {
            throw RunFailure.failed(FailureKind.INPUT, "no " + tokenizer);
        }
        return new Talk();
    }

    private final class Talk implements LanguageSession, LogitsProgram, TextGenerator {
        private final LogitsLoop loop = new LogitsLoop(this);
        private boolean stopped;

        @Override
        public Facts facts() {
            return new Facts(12L, (long) VOCABULARY, 480L, "by hand");
        }

        @Override
        public RunReply.Generation generate(Prompt prompt, int newTokens) throws RunFailure {
            events.add("generate");
            return prompt.text() == null ? loop.generate(prompt.tokens(), newTokens)
                : TextRun.generate(this, prompt, newTokens);
        }

        @Override
        public TokenScores score(int[] tokens) throws RunFailure {
            events.add("score");
            return loop.score(tokens);
        }

        @Override
        public float[] run(long[] tokens, int place) {
            events.add("run " + tokens.length + " at " + place);
            float[] logits = new float[VOCABULARY];
            logits[(int) (tokens[tokens.length - 1] + 1) % VOCABULARY] = AHEAD;
            return logits;
        }

        @Override
        public int mostTokens() {
            return 3;
        }

        @Override
        public void reset() {
            events.add("reset");
            stopped = false;
        }

        @Override
        public void stop() {
            stopped = true;
        }

        @Override
        public void generate(String prompt, int allTokens, Listener listener) {
            int steps = 0;
            while (steps < script.length() && !stopped) {
                if (script.charAt(steps) == '.') {
                    listener.piece();
                }
                steps++;
            }
            int generated = steps - 1 + uncounted;
            if (uncounted >= 0) {
                listener.statistics("{\"prompt_tokens\":" + prompt.length() + ",\"generated_tokens\":" + generated
                    + ",\"inference_start_ms\":1}");
            }
        }

        @Override
        public RunReply.Runtime report() {
            return new RunReply.Runtime("talking", "1", Delegate.XNNPACK, "xnnpack", 1, null, null, null);
        }

        @Override
        public void close() {
            events.add("close");
        }
    }
}
