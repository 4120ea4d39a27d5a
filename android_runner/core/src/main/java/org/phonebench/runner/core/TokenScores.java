package org.phonebench.runner.core;

/** The negative log-likelihood of each token but the first, in nats, and the likeliest token at its place. */
public record TokenScores(float[] nll, int[] top1) {
    /** Scores for {@code count} tokens, still to be filled. */
    static TokenScores of(int count) {
        return new TokenScores(new float[count], new int[count]);
    }

    /**
     * Score token {@code at + 1} by the logits before it. The softmax is computed in double precision.
     *
     * @param logits one row, of which the first {@code vocabulary} numbers count
     */
    void put(int at, float[] logits, int vocabulary, int token) throws RunFailure {
        int likeliest = likeliest(logits, vocabulary);
        double highest = logits[likeliest];
        if (Double.isNaN(highest) || Double.isInfinite(highest)) {
            throw RunFailure.failed(FailureKind.RUN, "the logits of token " + at + " are not finite");
        }
        double sum = 0;
        for (int index = 0; index < vocabulary; index++) {
            sum += Math.exp(logits[index] - highest);
        }
        nll[at] = (float) (highest + Math.log(sum) - logits[token]);
        top1[at] = likeliest;
    }

    /** The first of the largest logits; a NaN counts as larger than any number, so that it cannot hide. */
    static int likeliest(float[] logits, int vocabulary) {
        int best = 0;
        for (int index = 0; index < vocabulary; index++) {
            if (Float.isNaN(logits[index])) {
                return index;
            }
            if (logits[index] > logits[best]) {
                best = index;
            }
        }
        return best;
    }
}
