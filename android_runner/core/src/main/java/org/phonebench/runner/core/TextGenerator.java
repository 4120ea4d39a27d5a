package org.phonebench.runner.core;

/** A runtime's own runner of language models: it takes a text, tokenises it, and calls back. */
public interface TextGenerator {
    /** What it calls during a generation, in the thread that called {@link #generate}. */
    interface Listener {
        /** A piece of text is there: one token or, where a character takes several, more of them. */
        void piece();

        /** The generation has ended; {@code json} is what the runtime counted and timed. */
        void statistics(String json);
    }

    /** Generate until {@code allTokens} tokens of prompt and output are there, or a token ends the text. */
    void generate(String prompt, int allTokens, Listener listener) throws RunFailure;

    /** End the running generation after the token that is there. */
    void stop();

    /** Forget every earlier call. */
    void reset() throws RunFailure;
}
