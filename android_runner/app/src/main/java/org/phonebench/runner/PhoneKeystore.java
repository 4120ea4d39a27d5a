package org.phonebench.runner;

import android.security.keystore.KeyGenParameterSpec;
import android.security.keystore.KeyProperties;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import org.phonebench.runner.core.RecipientKey;

/**
 * Keeps this app's key pair in the keystore of the phone, which never hands out the private key.
 *
 * <p>It is made once per installation and is removed with the app. RSA, because the keystore has no key agreement
 * before Android 12; and not in a StrongBox, which takes seconds for an operation.
 */
final class PhoneKeystore implements RecipientKey.Keystore {
    private static final String PROVIDER = "AndroidKeyStore";
    private static final String ALIAS = "phonebench-artifacts";

    @Override
    public KeyPair pair() throws GeneralSecurityException, IOException {
        KeyStore keystore = KeyStore.getInstance(PROVIDER);
        keystore.load(null);
        KeyPair pair = stored(keystore);
        if (pair != null) {
            return pair;
        }
        // What cannot be read any more is in the way of a new one.
        keystore.deleteEntry(ALIAS);
        KeyPairGenerator generator = KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_RSA, PROVIDER);
        generator.initialize(new KeyGenParameterSpec.Builder(ALIAS, KeyProperties.PURPOSE_DECRYPT)
            .setKeySize(RecipientKey.BITS)
            .setDigests(KeyProperties.DIGEST_SHA256)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_RSA_OAEP)
            .build());
        return generator.generateKeyPair();
    }

    /** The pair that was made before; null if there is none, or if it was lost, as after a damaged update. */
    private static KeyPair stored(KeyStore keystore) throws GeneralSecurityException {
        try {
            Key key = keystore.getKey(ALIAS, null);
            return key instanceof PrivateKey secret && keystore.getCertificate(ALIAS) != null
                ? new KeyPair(keystore.getCertificate(ALIAS).getPublicKey(), secret) : null;
        } catch (java.security.UnrecoverableKeyException lost) {
            return null;
        }
    }
}
