package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class BundledLibraryTest {
    @Test
    void theLibraryIsCalledWhatTheBuildWroteDown() {
        // The file is in the test resources, at the same path as in an app.
        assertEquals("some-library 1.2.3", BundledLibrary.title());
    }
}
