package org.phonebench.runner.core;

import java.nio.file.Path;

/** The files of a job's artifact, each checked and under its own name, between {@link #open} and {@link #close}. */
interface ArtifactFiles {
    /** Make the files available if they are not, and return the path of the one to load. */
    Path open() throws RunFailure;

    /** Remove the files if they must not stay. A runtime that has loaded them needs them no more. */
    void close() throws RunFailure;

    /** Throw a failure {@code digest} for a file with another digest than the request expects. */
    static void check(RunRequest.Part part, String sha256) throws RunFailure {
        if (!sha256.equals(part.sha256())) {
            throw RunFailure.failed(FailureKind.DIGEST, "the artifact '" + part.file() + "' has sha256 "
                + sha256 + "; the request expects " + part.sha256() + ": deploy it again");
        }
    }
}
