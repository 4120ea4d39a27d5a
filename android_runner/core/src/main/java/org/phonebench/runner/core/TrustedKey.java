package org.phonebench.runner.core;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The public key that must have signed every artifact, if this app was built with one.
 *
 * <p>A signature is a Sigstore bundle: a DSSE envelope (github.com/secure-systems-lab/dsse, version 1) around an
 * in-toto statement with the SHA-256 of every file. A computer that is not the owner's can push files and start the
 * app, but it cannot make such a bundle for a file of its own.
 */
public final class TrustedKey {
    /** Where the build of an app puts the public key. */
    public static final String RESOURCE = "/META-INF/phonebench/signing-key.pem";
    private static final String PAYLOAD_TYPE = "application/vnd.in-toto+json";

    private final PublicKey key;
    private final String algorithm;

    private TrustedKey(ECPublicKey key) throws GeneralSecurityException {
        this.key = key;
        this.algorithm = algorithm(key.getParams().getCurve().getField().getFieldSize());
    }

    /** The key that was built into the app; null if there is none. A damaged one throws, so that nothing runs. */
    public static TrustedKey bundled() {
        try (InputStream in = TrustedKey.class.getResourceAsStream(RESOURCE)) {
            return in == null ? null : read(text(in));
        } catch (IOException | GeneralSecurityException damaged) {
            throw new IllegalStateException("the public key in this app cannot be read: build the app again", damaged);
        }
    }

    /** The key in the text of a PEM file. */
    public static TrustedKey read(String pem) throws GeneralSecurityException {
        String body = pem.replaceAll("-----(BEGIN|END) PUBLIC KEY-----", "").replaceAll("\\s", "");
        try {
            X509EncodedKeySpec spec = new X509EncodedKeySpec(Base64.getDecoder().decode(body));
            return new TrustedKey((ECPublicKey) KeyFactory.getInstance("EC").generatePublic(spec));
        } catch (IllegalArgumentException damaged) {
            throw new GeneralSecurityException("this is no PEM file of a public key", damaged);
        }
    }

    /** Throw a failure {@code digest} unless the artifact's signature is by this key and names all of its files. */
    void check(RunRequest.Artifact artifact) throws RunFailure {
        if (artifact.signature().isEmpty()) {
            throw refusal("the artifact '" + artifact.file() + "' has no signature, and this runner app runs only what "
                + "its key has signed: sign it, or install an app without a key");
        }
        Set<String> signed = digests(artifact);
        for (RunRequest.Part part : artifact.parts()) {
            if (!signed.contains(part.sha256())) {
                throw refusal("the signature is not of the file '" + part.file() + "' with the sha256 " + part.sha256()
                    + ": sign this file");
            }
        }
    }

    private Set<String> digests(RunRequest.Artifact artifact) throws RunFailure {
        try {
            Fields envelope = Fields.parse(artifact.signature()).object("dsseEnvelope");
            List<Fields> signatures = envelope.objects("signatures");
            byte[] payload = Base64.getDecoder().decode(envelope.text("payload"));
            if (signatures.size() != 1 || !PAYLOAD_TYPE.equals(envelope.text("payloadType"))) {
                throw refusal("the signature of '" + artifact.file() + "' is of another kind: sign the file again");
            }
            if (!verifies(payload, Base64.getDecoder().decode(signatures.get(0).text("sig")))) {
                throw refusal("the signature of '" + artifact.file() + "' is not by the key in this runner app: sign "
                    + "it with the right key, or install an app with the other one");
            }
            return named(Fields.parse(new String(payload, StandardCharsets.UTF_8)));
        } catch (RequestException | IllegalArgumentException | GeneralSecurityException damaged) {
            throw RunFailure.failed(FailureKind.DIGEST,
                "the signature of '" + artifact.file() + "' cannot be read: sign the file again", damaged);
        }
    }

    private static Set<String> named(Fields statement) throws RequestException {
        Set<String> digests = new TreeSet<>();
        for (Fields resource : statement.object("predicate").objects("resources")) {
            if ("sha256".equals(resource.text("algorithm"))) {
                digests.add(resource.text("digest"));
            }
        }
        return digests;
    }

    /** Whether the signature is of the payload in DSSE's encoding, which also covers its type and the lengths. */
    private boolean verifies(byte[] payload, byte[] signature) throws GeneralSecurityException {
        Signature verifier = Signature.getInstance(algorithm);
        verifier.initVerify(key);
        String head = "DSSEv1 " + PAYLOAD_TYPE.length() + " " + PAYLOAD_TYPE + " " + payload.length + " ";
        verifier.update(head.getBytes(StandardCharsets.US_ASCII));
        verifier.update(payload);
        try {
            return verifier.verify(signature);
        } catch (java.security.SignatureException notEvenOne) {
            return false;
        }
    }

    private static String algorithm(int bits) throws GeneralSecurityException {
        switch (bits) {
            case 256:
                return "SHA256withECDSA";
            case 384:
                return "SHA384withECDSA";
            case 521:
                return "SHA512withECDSA";
            default:
                throw new GeneralSecurityException("the key has " + bits + " bits; it must be P-256, P-384 or P-521");
        }
    }

    private static RunFailure refusal(String message) {
        return RunFailure.failed(FailureKind.DIGEST, message);
    }

    private static String text(InputStream in) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[4096];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            out.write(buffer, 0, read);
        }
        return new String(out.toByteArray(), StandardCharsets.US_ASCII);
    }
}
