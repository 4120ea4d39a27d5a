package org.phonebench.runner.core;

/** A request that this version cannot read. The message names the field, or both schema versions. */
public final class RequestException extends Exception {
    private static final long serialVersionUID = 1L;

    RequestException(String message) {
        super(message);
    }
}
