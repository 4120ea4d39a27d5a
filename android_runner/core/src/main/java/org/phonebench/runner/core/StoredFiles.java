package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Files as they lie in the store, or next to the request. They stay there. */
final class StoredFiles implements ArtifactFiles {
    private final JobPlace place;
    private final RunRequest.Artifact artifact;
    private final boolean copies;
    private Path opened;

    /** With {@code copies}, the files are used from a place where no other program can change them. */
    StoredFiles(JobPlace place, RunRequest.Artifact artifact, boolean copies) {
        this.place = place;
        this.artifact = artifact;
        this.copies = copies;
    }

    @Override
    public Path open() throws RunFailure {
        if (opened == null) {
            List<Path> named = new ArrayList<>();
            for (RunRequest.Part part : artifact.parts()) {
                named.add(checked(part));
            }
            opened = named.get(0);
        }
        return opened;
    }

    @Override
    public void close() {}

    private Path checked(RunRequest.Part part) throws RunFailure {
        try {
            // Whoever may write to the store could replace a file there after its digest was checked.
            Path file = copies ? place.copied(part) : place.source(part);
            ArtifactFiles.check(part, Digest.sha256(file));
            return copies ? file : place.named(part);
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.DIGEST,
                "cannot read the artifact '" + part.file() + "': " + error + "; deploy it again", error);
        }
    }
}
