package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import org.json.JSONObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that Tink encrypted and a key that OpenSSL wrapped, in tests/golden/encryption. */
final class StreamDecryptionTest {
    private static final Path GOLDEN = Golden.FOLDER.resolveSibling("encryption");
    private static final int SMALL = 4096;

    @TempDir
    Path folder;

    private static JSONObject keys() throws Exception {
        return new JSONObject(new String(Files.readAllBytes(GOLDEN.resolve("keys.json")), StandardCharsets.UTF_8));
    }

    private static byte[] decoded(String base64) {
        return Base64.getDecoder().decode(base64);
    }

    private static byte[] decrypted(Path file, String sha256, int segmentBytes) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        new StreamDecryption(decoded(keys().getString("file_key")), sha256, segmentBytes).decrypt(file, out);
        return out.toByteArray();
    }

    private byte[] decrypted(byte[] changed) throws Exception {
        Path file = Files.write(folder.resolve("changed"), changed);
        return decrypted(file, Digest.sha256(GOLDEN.resolve("model.bin")), SMALL);
    }

    @ParameterizedTest
    @CsvSource({"model.bin.1mb, 1048576", "model.bin.4kb, 4096"})
    void aFileThatTinkEncryptedIsDecrypted(String name, int segmentBytes) throws Exception {
        byte[] plain = Files.readAllBytes(GOLDEN.resolve("model.bin"));
        assertArrayEquals(plain, decrypted(GOLDEN.resolve(name), Digest.of(plain), segmentBytes));
    }

    @Test
    void anEmptyFileIsASingleTag() throws Exception {
        Path file = GOLDEN.resolve("empty.1mb");
        assertEquals(0, decrypted(file, Digest.of(new byte[0]), StreamDecryption.SEGMENT_BYTES).length);
    }

    @Test
    void aKeyThatOpensslWrappedIsUnwrapped() throws Exception {
        JSONObject rsa = keys().getJSONArray("recipients").getJSONObject(0);
        String pem = new String(Files.readAllBytes(GOLDEN.resolve(rsa.getString("private_key"))),
            StandardCharsets.US_ASCII);
        KeyFactory factory = KeyFactory.getInstance("RSA");
        PrivateKey secret = factory.generatePrivate(
            new PKCS8EncodedKeySpec(decoded(pem.replaceAll("-----[A-Z ]+-----|\\s", ""))));
        PublicKey open = factory.generatePublic(new X509EncodedKeySpec(decoded(rsa.getString("public_key"))));
        RecipientKey key = new RecipientKey(new KeyPair(open, secret));
        assertEquals(rsa.getString("recipient"), key.id());
        assertEquals(new RunReply.EncryptionKey(rsa.getString("algorithm"), rsa.getString("public_key")),
            key.described());
        assertArrayEquals(decoded(keys().getString("file_key")),
            key.unwrapped(decoded(rsa.getString("wrapped_key"))));
    }

    /** One place in each part: the length of the header, the salt, the prefix, each segment and the last tag. */
    @ParameterizedTest
    @ValueSource(ints = {0, 5, 35, 100, 4095, 4096, 8192, 9087})
    void aChangedByteIsFound(int at) throws Exception {
        byte[] data = Files.readAllBytes(GOLDEN.resolve("model.bin.4kb"));
        data[at] ^= 1;
        assertThrows(GeneralSecurityException.class, () -> decrypted(data));
    }

    /** At the ends of the header and of segments too, where what is left is whole. */
    @ParameterizedTest
    @ValueSource(ints = {0, 39, 40, 56, 4095, 4096, 8192, 9087, 9089})
    void aFileOfAnotherLengthIsFound(int length) throws Exception {
        byte[] data = Files.readAllBytes(GOLDEN.resolve("model.bin.4kb"));
        assertThrows(GeneralSecurityException.class, () -> decrypted(Arrays.copyOf(data, length)));
    }

    @Test
    void theFileOfAnotherDigestIsFound() throws Exception {
        assertThrows(GeneralSecurityException.class,
            () -> decrypted(GOLDEN.resolve("model.bin.4kb"), Digest.of(new byte[0]), SMALL));
    }
}
