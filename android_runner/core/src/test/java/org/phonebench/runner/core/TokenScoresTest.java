package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Logits of three tokens. */
final class TokenScoresTest {
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void aNotANumberIsNeverScoredWhereverItStands(int at) {
        float[] logits = {1, 2, 3};
        logits[at] = Float.NaN;
        assertEquals(at, TokenScores.likeliest(logits, 3));
        RunFailure failure = assertThrows(RunFailure.class, () -> TokenScores.of(1).put(0, logits, 3, 2));
        assertEquals("the logits of token 0 are not finite", failure.getMessage());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void theFirstOfEqualLogitsIsTheLikeliest(int at) {
        float[] logits = {-5, -5, -5};
        logits[at] = -1;
        logits[2] = -1;
        assertEquals(at, TokenScores.likeliest(logits, 3));
    }
}
