package org.phonebench.runner.core;

import org.json.JSONException;
import org.json.JSONObject;

/**
 * One generation by a {@link TextGenerator}, timed by its callbacks on the runner's own clock.
 *
 * <p>The runtime's own statistics are in whole milliseconds, so only their counts of tokens are used. They do not count
 * the first new token, which the evaluation of the prompt brings.
 */
public final class TextRun implements TextGenerator.Listener {
    private static final String PROMPT = "prompt_tokens";
    private static final String GENERATED = "generated_tokens";

    private final TextGenerator generator;
    private final int newTokens;
    private final long[] piecesNs;
    private final LatencyPass.Clock clock = new SystemClock();
    private long beginNs;
    private long endNs;
    private int pieces;
    private String statistics;

    private TextRun(TextGenerator generator, int newTokens) {
        this.generator = generator;
        this.newTokens = newTokens;
        this.piecesNs = new long[newTokens];
    }

    /** Generate {@code newTokens} tokens after the prompt's text. */
    public static RunReply.Generation generate(TextGenerator generator, LanguageSession.Prompt prompt, int newTokens)
            throws RunFailure {
        generator.reset();
        TextRun run = new TextRun(generator, newTokens);
        run.beginNs = run.clock.nanos();
        generator.generate(prompt.text(), prompt.tokens().length + newTokens, run);
        return run.record(prompt.tokens().length);
    }

    @Override
    public void piece() {
        if (pieces < newTokens) {
            piecesNs[pieces] = clock.nanos() - beginNs;
        }
        pieces++;
        // A model with a sliding window takes the limit for the new tokens alone.
        if (pieces == newTokens) {
            generator.stop();
        }
    }

    @Override
    public void statistics(String json) {
        endNs = clock.nanos() - beginNs;
        statistics = json;
    }

    private RunReply.Generation record(int promptTokens) throws RunFailure {
        if (statistics == null) {
            throw RunFailure.failed(FailureKind.RUN, "the runtime ended a generation without its statistics: build the"
                + " app with a newer library (phonebench runner build android --library FILE)");
        }
        int counted = count(PROMPT);
        if (counted != promptTokens) {
            throw RunFailure.failed(FailureKind.INPUT, "the tokenizer of the runtime makes " + counted
                + " tokens of a prompt that has " + promptTokens + ": remove the tokenizer beside the model, and its"
                + " tokens are fed in without text");
        }
        int tokens = count(GENERATED) + 1;
        if (pieces > tokens || tokens > newTokens) {
            throw RunFailure.failed(FailureKind.RUN, "the runtime counts " + tokens + " new tokens, called back "
                + pieces + " times, and was asked for " + newTokens + ": its figures are wrong");
        }
        RunReply.Ending ending = tokens == newTokens ? RunReply.Ending.LENGTH : RunReply.Ending.END;
        return new RunReply.Generation(beginNs, null, moments(tokens), tokens, ending);
    }

    /** The times of the callbacks. Where a character was not complete at the end, that is when its token was there. */
    private long[] moments(int tokens) {
        boolean whole = pieces == tokens;
        long[] moments = new long[whole ? pieces : pieces + 1];
        System.arraycopy(piecesNs, 0, moments, 0, pieces);
        if (!whole) {
            moments[pieces] = endNs;
        }
        return moments;
    }

    private int count(String key) throws RunFailure {
        try {
            return new JSONObject(statistics).getInt(key);
        } catch (JSONException error) {
            throw RunFailure.failed(FailureKind.RUN, "the runtime's statistics have no " + key + ": " + statistics,
                error);
        }
    }
}
