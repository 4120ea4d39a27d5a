package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Signatures made by another program, in tests/golden/signing. */
final class TrustedKeyTest {
    private static final String MODEL = "1706adee00751036563a808eb4375501f6e5bcefb3c7b32bbdfd416a48d43f94";
    private static final String ONNX = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806";
    private static final String WEIGHTS = "1b465fa6b6bcbc06a3199e3d2d8aec35d37494a712f888b6d5536684dd89d0f0";

    private static String file(String name) throws Exception {
        byte[] data = Files.readAllBytes(Golden.FOLDER.resolveSibling("signing").resolve(name));
        return new String(data, StandardCharsets.UTF_8);
    }

    private static void check(String key, RunRequest.Artifact artifact) throws Exception {
        TrustedKey.read(file(key)).check(artifact);
    }

    private static RunRequest.Artifact artifact(String sha256, String signature) {
        return new RunRequest.Artifact("model.bin", sha256, "onnx", Collections.emptyList(), signature);
    }

    private static String refused(String key, RunRequest.Artifact artifact) {
        RunFailure failure = assertThrows(RunFailure.class, () -> check(key, artifact));
        assertEquals(FailureKind.DIGEST, failure.kind());
        return failure.getMessage();
    }

    @ParameterizedTest
    @CsvSource({"P-256.pub, model-by-1.1.sig", "P-384.pub, model-by-P-384.sig"})
    void aFileThatTheKeyHasSignedIsAccepted(String key, String signature) throws Exception {
        check(key, artifact(MODEL, file(signature)));
    }

    @Test
    void allFilesOfAnArtifactMustBeSigned() throws Exception {
        List<RunRequest.Part> weights = Collections.singletonList(new RunRequest.Part("model.onnx.data", WEIGHTS));
        check("P-256.pub", new RunRequest.Artifact("model.onnx", ONNX, "onnx", weights, file("folder.sig")));
        List<RunRequest.Part> others = Collections.singletonList(new RunRequest.Part("model.onnx.data", MODEL));
        String message = refused("P-256.pub",
            new RunRequest.Artifact("model.onnx", ONNX, "onnx", others, file("folder.sig")));
        assertTrue(message.contains("model.onnx.data"), message);
    }

    @Test
    void aSignatureByAnotherKeyIsRefused() throws Exception {
        String message = refused("P-384.pub", artifact(MODEL, file("model-by-1.1.sig")));
        assertTrue(message.contains("not by the key in this runner app"), message);
    }

    @Test
    void aSignatureOfAnotherFileIsRefused() throws Exception {
        String message = refused("P-256.pub", artifact(ONNX, file("model-by-1.1.sig")));
        assertTrue(message.contains("not of the file 'model.bin'"), message);
    }

    @Test
    void aStatementThatWasChangedAfterItWasSignedIsRefused() throws Exception {
        JSONObject bundle = new JSONObject(file("model-by-1.1.sig"));
        JSONObject envelope = bundle.getJSONObject("dsseEnvelope");
        String payload = new String(Base64.getDecoder().decode(envelope.getString("payload")), StandardCharsets.UTF_8);
        String forged = payload.replace(MODEL, ONNX);
        envelope.put("payload", Base64.getEncoder().encodeToString(forged.getBytes(StandardCharsets.UTF_8)));
        String message = refused("P-256.pub", artifact(ONNX, bundle.toString()));
        assertTrue(message.contains("not by the key"), message);
    }

    @ParameterizedTest
    @CsvSource(value = {"''|no signature", "{}|cannot be read", "not JSON|cannot be read"}, delimiter = '|')
    void whatIsNoBundleIsRefused(String signature, String reason) {
        String message = refused("P-256.pub", artifact(MODEL, signature));
        assertTrue(message.contains(reason), message);
    }

    @ParameterizedTest
    @CsvSource({"%%%, application/vnd.in-toto+json, 1, cannot be read", "e30=, text/plain, 1, another kind",
        "e30=, application/vnd.in-toto+json, 0, another kind", "e30=, application/vnd.in-toto+json, 2, another kind",
        "e30=, application/vnd.in-toto+json, 1, not by the key"})
    void aBundleOfAnotherKindIsRefused(String payload, String type, int signatures, String reason) throws Exception {
        JSONObject envelope = new JSONObject().put("payload", payload).put("payloadType", type);
        JSONArray list = new JSONArray();
        for (int at = 0; at < signatures; at++) {
            list.put(new JSONObject().put("sig", "AA=="));
        }
        envelope.put("signatures", list);
        String bundle = new JSONObject().put("dsseEnvelope", envelope).toString();
        String message = refused("P-256.pub", artifact(MODEL, bundle));
        assertTrue(message.contains(reason), message);
    }

    @Test
    void aKeyThatIsNoneIsNotRead() throws Exception {
        assertThrows(GeneralSecurityException.class, () -> TrustedKey.read("no key"));
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        String rsa = Base64.getEncoder().encodeToString(generator.generateKeyPair().getPublic().getEncoded());
        assertThrows(GeneralSecurityException.class, () -> TrustedKey.read(rsa));
    }

    @Test
    void anAppWithoutAKeyTrustsEverything() {
        assertNull(TrustedKey.bundled());
    }
}
