package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The messages of failures. */
class RunFailureTest {
    @Test
    void aLongComplaintKeepsItsEndWhichSaysWhat() {
        String line = RunFailure.firstLine(new IllegalStateException("at/the/place".repeat(40) + " no such operator"));
        assertTrue(line.startsWith("at/the/place"));
        assertTrue(line.endsWith(" no such operator"));
        assertEquals(303, line.length());
    }

    @Test
    void aShortComplaintIsItsFirstLineAndASilentOneItsClass() {
        assertEquals("first", RunFailure.firstLine(new IllegalStateException(" first\nsecond")));
        assertEquals("IllegalStateException", RunFailure.firstLine(new IllegalStateException()));
    }

    @Test
    void aFileThatIsNotTakenMayBeNewerThanTheAppAndOneThatIsTooLargeIsNot() {
        RunFailure refused = RunFailure.load("LiteRT", "model.tflite", new IllegalStateException("version 9"));
        assertEquals(FailureKind.LOAD, refused.kind());
        assertTrue(refused.getMessage().startsWith("LiteRT cannot load 'model.tflite': version 9; if the file"));
        assertTrue(refused.getMessage().contains("phonebench runner build android --library FILE"));
        RunFailure large = RunFailure.load("LiteRT", "model.tflite", new IllegalStateException("std::bad_alloc"));
        assertEquals(FailureKind.OOM, large.kind());
        assertFalse(large.getMessage().contains("newer"));
    }
}
