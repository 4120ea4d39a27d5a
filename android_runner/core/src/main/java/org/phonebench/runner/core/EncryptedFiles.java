package org.phonebench.runner.core;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.GeneralSecurityException;
import java.security.ProviderException;
import java.util.List;

/** Files that lie encrypted in the store. They are decrypted for each load, and deleted after it. */
final class EncryptedFiles implements ArtifactFiles {
    private static final int KEY_BYTES = 32;

    private final JobPlace place;
    private final RunRequest.Artifact artifact;
    private final RecipientKey key;
    private final PlainFiles plain;
    private Path opened;

    EncryptedFiles(JobPlace place, RunRequest.Artifact artifact, RecipientKey key) {
        this.place = place;
        this.artifact = artifact;
        this.key = key;
        this.plain = new PlainFiles(place.folder());
    }

    @Override
    public Path open() throws RunFailure {
        if (opened != null) {
            return opened;
        }
        List<RunRequest.Part> parts = artifact.parts();
        try {
            for (int at = 0; at < parts.size(); at++) {
                decrypt(parts.get(at), artifact.encryption().files().get(at));
            }
            opened = plain.path(artifact.file());
            return opened;
        } finally {
            if (opened == null) {
                close();
            }
        }
    }

    @Override
    public void close() throws RunFailure {
        opened = null;
        try {
            plain.delete();
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.STORAGE,
                "cannot delete the decrypted artifact '" + artifact.file() + "': " + error.getMessage(), error);
        }
    }

    private void decrypt(RunRequest.Part part, RunRequest.EncryptedFile encrypted) throws RunFailure {
        byte[] fileKey = unwrapped(part, encrypted);
        Path source = place.encrypted(part, encrypted);
        if (!Files.isReadable(source)) {
            throw RunFailure.failed(FailureKind.DIGEST,
                "cannot read the encrypted artifact '" + part.file() + "' at " + source + ": deploy it again");
        }
        try (OutputStream file = plain.create(part.file());
                DigestOutputStream digested = new DigestOutputStream(file, Digest.sha256())) {
            new StreamDecryption(fileKey, part.sha256()).decrypt(source, digested);
            ArtifactFiles.check(part, Digest.text(digested.getMessageDigest().digest()));
        } catch (GeneralSecurityException error) {
            throw RunFailure.failed(FailureKind.DIGEST, "the encrypted artifact '" + part.file()
                + "' is damaged, or another file than the requested one: deploy it again", error);
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.STORAGE, "cannot decrypt the artifact '" + part.file() + "': "
                + RunFailure.firstLine(error) + "; free some space on the phone", error);
        }
    }

    private byte[] unwrapped(RunRequest.Part part, RunRequest.EncryptedFile encrypted) throws RunFailure {
        try {
            byte[] fileKey = key.unwrapped(encrypted.key());
            if (fileKey.length != KEY_BYTES) {
                throw new GeneralSecurityException("the key has " + fileKey.length + " bytes, not " + KEY_BYTES);
            }
            return fileKey;
        } catch (GeneralSecurityException | ProviderException error) {
            throw RunFailure.failed(FailureKind.DIGEST, "the key of the encrypted artifact '" + part.file()
                + "' is damaged, or not for this phone: deploy it again", error);
        }
    }
}
