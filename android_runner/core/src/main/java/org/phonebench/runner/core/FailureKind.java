package org.phonebench.runner.core;

import java.util.Locale;

/** Where a launch failed, as seen by the runner. The host has more kinds, for runners that do not reply. */
public enum FailureKind {
    LOAD, DELEGATE, RUN, OOM, DIGEST, INPUT, STORAGE;

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
