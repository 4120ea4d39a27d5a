package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where one job's files are.
 *
 * @param folder the job's own folder, which the reply and the outputs go to
 * @param request the request's file
 * @param store where artifacts and inputs lie under their digests; null when they lie in the job's folder by name
 * @param inputsSha256 the digest that the inputs have in the store; null without a store
 */
public record JobPlace(Path folder, Path request, Path store, String inputsSha256) {
    public static final String REQUEST = "request.json";

    public JobPlace {
        if (store != null && (inputsSha256 == null || !inputsSha256.matches("[0-9a-f]{64}"))) {
            throw new IllegalArgumentException(
                "with a store the inputs need their sha256, given was '" + inputsSha256 + "'");
        }
    }

    /** A job whose files all lie in its folder. */
    public static JobPlace plain(Path folder) {
        return new JobPlace(folder, folder.resolve(REQUEST), null, null);
    }

    /** Where a file of the artifact is before it is checked. */
    Path source(RunRequest.Part part) {
        return store == null ? folder.resolve(part.file()) : store.resolve(part.sha256());
    }

    /** Where the inputs are. */
    Path inputs(RunRequest.Inputs inputs) {
        return store == null ? folder.resolve(inputs.file()) : store.resolve(inputsSha256);
    }

    /**
     * Give a file of the store its name in the job's folder, which is how an artifact finds its companions.
     *
     * <p>A link where the file system has it, else a copy.
     */
    Path named(RunRequest.Part part) throws IOException {
        Path name = folder.resolve(part.file());
        if (store == null) {
            return name;
        }
        Files.deleteIfExists(name);
        try {
            return Files.createSymbolicLink(name, source(part).toAbsolutePath());
        } catch (IOException | UnsupportedOperationException refused) {
            return Files.copy(source(part), name);
        }
    }
}
