package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.ProviderException;
import java.security.spec.MGF1ParameterSpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A launch with an encrypted artifact, from the question for the key to the deletion of the plain file. */
final class EncryptedFilesTest {
    private static final RunReply.Runner INFO = new RunReply.Runner("desktop", "1", false, null);
    private static final Path GOLDEN = Golden.FOLDER.resolveSibling("encryption");

    private static KeyPair pair;

    @TempDir
    Path root;
    private final DoublingAdapter adapter = new DoublingAdapter();
    private RecipientKey.Keystore keystore = () -> pair;
    private Path folder;
    private Path store;
    private JSONObject request;

    @BeforeAll
    static void aKey() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        pair = generator.generateKeyPair();
    }

    @BeforeEach
    void aJob() throws Exception {
        folder = Files.createDirectories(root.resolve("files/jobs/j"));
        store = Files.createDirectories(root.resolve("store"));
        Files.write(store.resolve(Digest.of(new byte[16])), new byte[16]);
        Files.copy(GOLDEN.resolve("model.bin.1mb"), store.resolve(Digest.sha256(GOLDEN.resolve("model.bin.1mb"))));
        request = Golden.json("request-minimal.json");
        JSONObject tensor = new JSONObject().put("dtype", "float32").put("shape", new JSONArray().put(1).put(2));
        JSONArray tensors = new JSONArray().put(new JSONObject(tensor.toString()).put("name", "a"))
            .put(new JSONObject(tensor.toString()).put("name", "b"));
        request.put("inputs", new JSONObject().put("file", "inputs.bin").put("count", 1).put("tensors", tensors));
        artifact().put("sha256", Digest.sha256(GOLDEN.resolve("model.bin")));
        request.put("passes", new JSONObject("{\"latency\":{\"warmup\":{\"min_calls\":1,\"min_ns\":0},"
            + "\"measure\":{\"min_calls\":2,\"min_ns\":0,\"max_ns\":60000000000}},\"memory\":{\"calls\":1},"
            + "\"outputs\":{\"count\":1},\"profile\":{\"calls\":1}}"));
        request.getJSONObject("runtime").put("delegate", "xnnpack");
        encrypt(Base64.getDecoder().decode(keys().getString("file_key")));
    }

    private static JSONObject keys() throws Exception {
        return new JSONObject(new String(Files.readAllBytes(GOLDEN.resolve("keys.json")), StandardCharsets.UTF_8));
    }

    private JSONObject artifact() throws Exception {
        return request.getJSONObject("artifact");
    }

    /** Wrap the key of the file for the phone's key, as a host does. */
    private void encrypt(byte[] fileKey) throws Exception {
        Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
        cipher.init(Cipher.ENCRYPT_MODE, pair.getPublic(),
            new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT));
        JSONObject file = new JSONObject().put("sha256", Digest.sha256(GOLDEN.resolve("model.bin.1mb")))
            .put("key", Base64.getEncoder().encodeToString(cipher.doFinal(fileKey)));
        artifact().put("encryption", new JSONObject().put("files", new JSONArray().put(file))
            .put("recipient", Digest.of(pair.getPublic().getEncoded())));
    }

    private RunReply run(TrustedKey trusted) throws Exception {
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
        JobPlace place = new JobPlace(folder, folder.resolve("request.json"), store, Digest.of(new byte[16]));
        return new JobRunner(Collections.singletonList(adapter), INFO, new LinuxState(Paths.get("/")), trusted,
            keystore).run(place, () -> { });
    }

    private String refused(FailureKind kind) throws Exception {
        RunReply reply = run(null);
        assertEquals(kind, reply.failure().kind(), reply.failure().message());
        assertNull(reply.results().load());
        assertFalse(Files.exists(folder.resolve("plain")));
        assertTrue(reply.failure().message().contains("model.bin"), reply.failure().message());
        return reply.failure().message();
    }

    @Test
    void thePlainFileExistsDuringEachLoadAndAtNoOtherTime() throws Exception {
        artifact().put("file", "model.bin");
        RunReply reply = run(null);
        assertEquals(RunReply.Status.OK, reply.status(), String.valueOf(reply.failure()));
        byte[] plain = Files.readAllBytes(GOLDEN.resolve("model.bin"));
        // Two loads, the look at the delegate, and the profile.
        assertEquals(4, adapter.files.size());
        for (byte[] file : adapter.files) {
            assertArrayEquals(plain, file);
        }
        assertEquals(PosixFilePermissions.fromString("rw-------"), adapter.filePermissions);
        assertEquals(PosixFilePermissions.fromString("rwx------"), adapter.folderPermissions);
        assertFalse(adapter.fileDuringCalls);
        assertFalse(Files.exists(folder.resolve("plain")));
        assertFalse(Files.exists(folder.resolve("model.bin")));
    }

    @Test
    void aHostThatDoesNotKnowTheKeyLearnsItFromARefusal() throws Exception {
        artifact().put("file", "model.bin").put("encryption", new JSONObject().put("recipient", ""));
        assertTrue(refused(FailureKind.DIGEST).contains("not encrypted for the key of this phone"));
        RunReply.EncryptionKey key = run(null).encryptionKey();
        assertArrayEquals(pair.getPublic().getEncoded(), Base64.getDecoder().decode(key.publicKey()));
        // A key of before the app was installed again.
        JSONObject file = new JSONObject().put("sha256", Digest.of(new byte[2])).put("key", "AA==");
        artifact().put("encryption", new JSONObject().put("recipient", Digest.of(new byte[1]))
            .put("files", new JSONArray().put(file)));
        refused(FailureKind.DIGEST);
        assertEquals(key, run(null).encryptionKey());
        artifact().remove("encryption");
        assertNull(run(null).encryptionKey());
    }

    @Test
    void whatIsDamagedOrSwappedIsRefusedAndLeavesNothing() throws Exception {
        artifact().put("file", "model.bin");
        encrypt(new byte[32]);
        assertTrue(refused(FailureKind.DIGEST).contains("is damaged, or another file than the requested one"));
        encrypt(new byte[16]);
        assertTrue(refused(FailureKind.DIGEST).contains("the key of the encrypted artifact"));
        encrypt(Base64.getDecoder().decode(keys().getString("file_key")));
        JSONObject file = artifact().getJSONObject("encryption").getJSONArray("files").getJSONObject(0);
        Path stored = store.resolve(file.getString("sha256"));
        byte[] data = Files.readAllBytes(stored);
        Files.write(stored, Arrays.copyOf(data, 1000));
        assertTrue(refused(FailureKind.DIGEST).contains("is damaged"));
        Files.delete(stored);
        assertTrue(refused(FailureKind.DIGEST).contains("cannot read the encrypted artifact"));
        file.put("key", "AAAA");
        assertTrue(refused(FailureKind.DIGEST).contains("the key of the encrypted artifact"));
        assertEquals(Collections.emptyList(), adapter.events);
    }

    @Test
    void aSignatureCoversThePlainFile() throws Exception {
        Path signing = Golden.FOLDER.resolveSibling("signing");
        TrustedKey trusted = TrustedKey.read(
            new String(Files.readAllBytes(signing.resolve("P-256.pub")), StandardCharsets.US_ASCII));
        assertTrue(run(trusted).failure().message().contains("has no signature"));
        artifact().put("signature",
            new String(Files.readAllBytes(signing.resolve("model-by-1.1.sig")), StandardCharsets.UTF_8));
        assertTrue(run(trusted).failure().message().contains("the signature is not of the file"));
        assertEquals(Collections.emptyList(), adapter.events);
    }

    @Test
    void aPhoneWithoutAKeystoreSaysSo() throws Exception {
        for (RecipientKey.Keystore broken : new RecipientKey.Keystore[] {
            null,
            () -> {
                throw new GeneralSecurityException("no AndroidKeyStore");
            },
            () -> {
                throw new ProviderException("no AndroidKeyStore");
            }}) {
            keystore = broken;
            RunReply reply = run(null);
            assertEquals(RunReply.Status.UNSUPPORTED, reply.status());
            assertEquals(FailureKind.DIGEST, reply.failure().kind());
            assertTrue(reply.failure().message().contains("keystore"), reply.failure().message());
            assertNull(reply.encryptionKey());
        }
    }

    @Test
    void aLaunchThatFailsOrCrashesLeavesNothing() throws Exception {
        request.getJSONObject("runtime").put("delegate", "gpu");
        assertEquals(RunReply.Status.UNSUPPORTED, run(null).status());
        assertEquals(1, adapter.files.size());
        assertFalse(Files.exists(folder.resolve("plain")));
        Path left = Files.createDirectories(root.resolve("files/jobs/crashed/plain")).resolve("model.onnx");
        Files.write(left, new byte[1]);
        PlainFiles.clear(root.resolve("files/jobs"));
        assertFalse(Files.exists(left.getParent()));
        assertTrue(Files.exists(folder.resolve("request.json")));
        PlainFiles.clear(root.resolve("files/none"));
    }

    @Test
    void whatCannotBeDeletedDoesNotKeepTheOthers() throws Exception {
        Path jobs = root.resolve("files/jobs");
        for (int job = 0; job < 8; job++) {
            Path plain = Files.createDirectories(jobs.resolve("crashed" + job + "/plain"));
            for (String file : new String[] {"a", "m", "z"}) {
                Files.write(plain.resolve(file), new byte[1]);
            }
        }
        // A folder that is not empty cannot be deleted, whoever runs this.
        Path kept = Files.createDirectories(jobs.resolve("crashed3/plain/b/in the way"));
        assertThrows(DirectoryNotEmptyException.class, () -> PlainFiles.clear(jobs));
        try (Stream<Path> left = Files.walk(jobs)) {
            assertEquals(Collections.emptyList(), left.filter(Files::isRegularFile)
                .filter(file -> file.getParent().endsWith("plain")).collect(Collectors.toList()));
        }
        assertTrue(Files.exists(kept));
    }
}
