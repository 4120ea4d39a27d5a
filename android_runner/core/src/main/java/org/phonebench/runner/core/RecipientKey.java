package org.phonebench.runner.core;

import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.spec.MGF1ParameterSpec;
import java.util.Base64;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

/** The key pair of this app on this phone, for which hosts encrypt the keys of files. */
public final class RecipientKey {
    /** The size of a new RSA key; a phone makes it once. */
    public static final int BITS = 3072;

    private static final String ALGORITHM = "RSA-OAEP-SHA256-MGF1-SHA1";
    /**
     * The name does not fix the hash of MGF1. Most keystores of Android have only SHA-1 for it, others take SHA-256.
     */
    private static final OAEPParameterSpec PADDING =
        new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT);

    private final KeyPair pair;

    /** What keeps an RSA key pair where no other program can read it. */
    public interface Keystore {
        /** The pair, which is made if there is none. */
        KeyPair pair() throws GeneralSecurityException, IOException;
    }

    public RecipientKey(KeyPair pair) {
        this.pair = pair;
    }

    /** The digest of the public key, by which a request names it. */
    String id() {
        return Digest.of(pair.getPublic().getEncoded());
    }

    /** What a reply says of it. */
    RunReply.EncryptionKey described() {
        return new RunReply.EncryptionKey(ALGORITHM,
            Base64.getEncoder().encodeToString(pair.getPublic().getEncoded()));
    }

    /** The key of a file. */
    byte[] unwrapped(byte[] wrapped) throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPWithSHA-256AndMGF1Padding");
        cipher.init(Cipher.DECRYPT_MODE, pair.getPrivate(), PADDING);
        return cipher.doFinal(wrapped);
    }
}
