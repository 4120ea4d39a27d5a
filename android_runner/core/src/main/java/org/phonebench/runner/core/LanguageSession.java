package org.phonebench.runner.core;

/** A loaded language model. */
public interface LanguageSession extends AutoCloseable {
    /** What the runtime reports about the model; null where it does not. */
    Facts facts();

    /** Forget every earlier call, evaluate the prompt and generate {@code newTokens} tokens greedily. */
    RunReply.Generation generate(Prompt prompt, int newTokens) throws RunFailure;

    /** How likely the model finds each of {@code tokens} after those before it. */
    TokenScores score(int[] tokens) throws RunFailure;

    /** The runtime, and what it really runs on. */
    RunReply.Runtime report();

    /** Release the model. A second call does nothing. */
    @Override
    void close();

    /**
     * A prompt, as tokens and, for a runtime that takes text, as a text of as many tokens.
     *
     * @param text null if the request has none
     */
    record Prompt(int[] tokens, String text) {}

    /**
     * What is known about a model.
     *
     * @param contextTokens how many tokens of prompt and output it can hold
     * @param vocabulary how many tokens it has
     * @param cacheBytes the size of its cache of keys and values
     * @param cacheSource how that size is known, or ""
     */
    record Facts(Long contextTokens, Long vocabulary, Long cacheBytes, String cacheSource) {
        public static final Facts NONE = new Facts(null, null, null, "");
    }
}
