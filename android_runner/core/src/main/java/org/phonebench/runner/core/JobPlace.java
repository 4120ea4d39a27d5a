package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Where the files of one job are.
 *
 * @param folder the job's own folder, to which the reply and the outputs are written
 * @param request the file of the request
 * @param store the folder with artifacts and inputs named by their digests; null when they are in the job's folder
 * @param inputsSha256 the digest of the inputs in the store; null without a store
 */
public record JobPlace(Path folder, Path request, Path store, String inputsSha256) {
    public static final String REQUEST = "request.json";

    public JobPlace {
        if (store != null && (inputsSha256 == null || !inputsSha256.matches("[0-9a-f]{64}"))) {
            throw new IllegalArgumentException(
                "with a store, the inputs need their sha256; got '" + inputsSha256 + "'");
        }
    }

    /** A job with all its files in one folder. */
    public static JobPlace plain(Path folder) {
        return new JobPlace(folder, folder.resolve(REQUEST), null, null);
    }

    /** Where a file of the artifact is, before it has its own name in the job's folder. */
    Path source(RunRequest.Part part) {
        return store == null ? folder.resolve(part.file()) : store.resolve(part.sha256());
    }

    /** Where an encrypted file of the artifact is. */
    Path encrypted(RunRequest.Part part, RunRequest.EncryptedFile encrypted) {
        return store == null ? folder.resolve(part.file()) : store.resolve(encrypted.sha256());
    }

    /** Where the inputs are. */
    Path inputs(RunRequest.Inputs inputs) {
        return store == null ? folder.resolve(inputs.file()) : store.resolve(inputsSha256);
    }

    /** Copy a file of the store under its own name to the job's folder, where no other program can change it. */
    Path copied(RunRequest.Part part) throws IOException {
        Path name = folder.resolve(part.file());
        return store == null ? name : Files.copy(source(part), name, StandardCopyOption.REPLACE_EXISTING);
    }

    /**
     * Make a file of the store available under its own name in the job's folder. An artifact refers to its companions
     * by these names.
     *
     * <p>This makes a link, or a copy where the file system has no links.
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
