package org.phonebench.runner.core;

import java.util.Locale;

/** What a runtime is asked to run the model with. */
public enum Delegate {
    CPU, XNNPACK, GPU, NNAPI, COREML, QNN;

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
