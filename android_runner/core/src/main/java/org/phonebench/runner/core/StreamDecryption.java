package org.phonebench.runner.core;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Decrypts a file in Tink's format of AES-GCM-HKDF streaming AEAD (developers.google.com/tink/streaming-aead), with
 * AES-256, HKDF-SHA256 (RFC 5869) and segments of 1 MiB.
 *
 * <p>No byte is passed on before its segment has been verified.
 */
final class StreamDecryption {
    static final int SEGMENT_BYTES = 1 << 20;

    private static final int TAG_BYTES = 16;
    private static final int SALT_BYTES = 32;
    private static final int PREFIX_BYTES = 7;
    private static final int HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES;
    private static final String MAC = "HmacSHA256";

    private final byte[] key;
    private final byte[] associated;
    private final int segmentBytes;

    /** Decrypts with a file's key; {@code sha256} is the digest of the plain file, as which it was encrypted. */
    StreamDecryption(byte[] key, String sha256) {
        this(key, sha256, SEGMENT_BYTES);
    }

    StreamDecryption(byte[] key, String sha256, int segmentBytes) {
        this.key = key;
        this.associated = sha256.getBytes(StandardCharsets.US_ASCII);
        this.segmentBytes = segmentBytes;
    }

    /** Throws {@link GeneralSecurityException} for a file that was changed, or encrypted with another key or digest. */
    void decrypt(Path encrypted, OutputStream plain) throws IOException, GeneralSecurityException {
        try (InputStream in = Files.newInputStream(encrypted)) {
            long left = Files.size(encrypted) - HEADER_BYTES;
            byte[] header = new byte[HEADER_BYTES];
            if (left < TAG_BYTES || read(in, header, HEADER_BYTES) < HEADER_BYTES || header[0] != HEADER_BYTES) {
                throw new GeneralSecurityException("the header of the encrypted file is damaged");
            }
            SecretKeySpec secret = new SecretKeySpec(derived(Arrays.copyOfRange(header, 1, 1 + SALT_BYTES)), "AES");
            ByteBuffer nonce = ByteBuffer.allocate(PREFIX_BYTES + Integer.BYTES + 1);
            nonce.put(header, 1 + SALT_BYTES, PREFIX_BYTES);
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            byte[] segment = new byte[segmentBytes];
            byte[] opened = new byte[segmentBytes];
            // The header counts as a part of the first segment.
            int length = segmentBytes - HEADER_BYTES;
            for (int number = 0; left > 0; number++) {
                int size = (int) Math.min(length, left);
                left -= size;
                if (read(in, segment, size) < size) {
                    throw new EOFException("the encrypted file became shorter while it was read");
                }
                nonce.putInt(PREFIX_BYTES, number).put(nonce.capacity() - 1, (byte) (left == 0 ? 1 : 0));
                cipher.init(Cipher.DECRYPT_MODE, secret, new GCMParameterSpec(8 * TAG_BYTES, nonce.array()));
                plain.write(opened, 0, cipher.doFinal(segment, 0, size, opened, 0));
                length = segmentBytes;
            }
        }
    }

    /** HKDF with one block of output, which is the whole key. */
    private byte[] derived(byte[] salt) throws GeneralSecurityException {
        Mac mac = Mac.getInstance(MAC);
        mac.init(new SecretKeySpec(salt, MAC));
        mac.init(new SecretKeySpec(mac.doFinal(key), MAC));
        mac.update(associated);
        return mac.doFinal(new byte[] {1});
    }

    /** Fill the first {@code size} bytes of a buffer, and return how many there were. */
    private static int read(InputStream in, byte[] buffer, int size) throws IOException {
        int filled = 0;
        while (filled < size) {
            int read = in.read(buffer, filled, size - filled);
            if (read < 0) {
                break;
            }
            filled += read;
        }
        return filled;
    }
}
