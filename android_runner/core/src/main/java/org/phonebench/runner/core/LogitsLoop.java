package org.phonebench.runner.core;

import java.util.Arrays;

/**
 * Generates and scores with a {@link LogitsProgram}: the loop of the runner on computers, with the same definitions.
 *
 * <p>A program overwrites what it remembers from the first place on, and hides the rest, so no call depends on another.
 */
public final class LogitsLoop {
    private final LogitsProgram program;
    private final LatencyPass.Clock clock = new SystemClock();

    public LogitsLoop(LogitsProgram program) {
        this.program = program;
    }

    /** Evaluate the prompt and take the likeliest token, {@code newTokens} times. */
    public RunReply.Generation generate(int[] prompt, int newTokens) throws RunFailure {
        long[] tokensNs = new long[newTokens];
        long[] one = new long[1];
        long[] all = Arrays.stream(prompt).asLongStream().toArray();
        long beginNs = clock.nanos();
        float[] logits = feed(all);
        long prefillNs = clock.nanos() - beginNs;
        for (int at = 0; ; at++) {
            one[0] = TokenScores.likeliest(logits, logits.length);
            tokensNs[at] = clock.nanos() - beginNs;
            if (at + 1 == newTokens) {
                return new RunReply.Generation(beginNs, prefillNs, tokensNs, newTokens, RunReply.Ending.LENGTH);
            }
            logits = program.run(one, prompt.length + at);
        }
    }

    /** Score each token but the first. It takes a call per token, because programs return the last logits only. */
    public TokenScores score(int[] tokens) throws RunFailure {
        TokenScores scores = TokenScores.of(tokens.length - 1);
        for (int at = 0; at < tokens.length - 1; at++) {
            float[] logits = program.run(new long[] {tokens[at]}, at);
            scores.put(at, logits, logits.length, tokens[at + 1]);
        }
        return scores;
    }

    private float[] feed(long[] tokens) throws RunFailure {
        float[] logits = {};
        for (int start = 0; start < tokens.length; start += program.mostTokens()) {
            int end = Math.min(tokens.length, start + program.mostTokens());
            logits = program.run(Arrays.copyOfRange(tokens, start, end), start);
        }
        return logits;
    }
}
