package org.phonebench.runner.core;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;

/**
 * One runtime. Each is a module of its own, found by {@link java.util.ServiceLoader}, because its libraries clash with
 * those of the others.
 */
public interface RuntimeAdapter {
    /** The format that it takes, as the wire names it. */
    String format();

    /**
     * Bring in the library and set what is set once a process; the memory of the runtime itself is read after it.
     *
     * @throws RunFailure of kind {@code input} for an option that the runtime does not know
     */
    void start(RunRequest.Runtime request) throws RunFailure;

    /** Load the artifact and make it ready to be called, the delegate included. */
    Session load(Path file, RunRequest.Runtime request) throws RunFailure;

    /** Times of single operators over {@code calls} calls; an empty list where the runtime cannot tell. */
    default List<RunReply.OperatorTime> profile(Path file, RunRequest request, List<Tensor> inputs, Path scratch)
            throws RunFailure {
        return Collections.emptyList();
    }
}
