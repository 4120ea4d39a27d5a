package org.phonebench.runner.core;

import java.util.Locale;

/** Where a launch failed, as far as the runner can tell; the host has further kinds for a runner that says nothing. */
public enum FailureKind {
    LOAD, DELEGATE, RUN, OOM, DIGEST, INPUT, STORAGE;

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
