package org.phonebench.runner.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, in lower-case hexadecimal. */
public final class Digest {
    private Digest() {}

    /** The digest of a file. */
    static String sha256(Path path) throws IOException {
        MessageDigest digest = sha256();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(path)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        }
        return text(digest.digest());
    }

    /** The digest of bytes. */
    public static String of(byte[] data) {
        return text(sha256().digest(data));
    }

    /** A digest as text. */
    static String text(byte[] digest) {
        StringBuilder text = new StringBuilder(64);
        for (byte value : digest) {
            text.append(Character.forDigit((value >> 4) & 0xF, 16)).append(Character.forDigit(value & 0xF, 16));
        }
        return text.toString();
    }

    /** Computes a digest. */
    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java implementation has SHA-256", impossible);
        }
    }
}
