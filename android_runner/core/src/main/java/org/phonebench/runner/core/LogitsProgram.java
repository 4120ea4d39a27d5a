package org.phonebench.runner.core;

/** A language model as a program that takes tokens and returns logits, and that remembers the tokens before them. */
public interface LogitsProgram {
    /**
     * Run {@code tokens}, the first of which is at {@code place} of the text. Return the logits after the last of them.
     * The array may be that of the call before.
     */
    float[] run(long[] tokens, int place) throws RunFailure;

    /** The most tokens of one call. */
    int mostTokens();
}
