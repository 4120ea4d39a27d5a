package org.phonebench.runner.desktop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import org.phonebench.runner.core.RecipientKey;

/** Keeps a key pair in a file, in the place of a phone's keystore. It protects nothing. */
final class FileKeystore implements RecipientKey.Keystore {
    static final String FILE = "keystore.p8";

    private final Path file;

    FileKeystore(Path files) {
        this.file = files.resolve(FILE);
    }

    @Override
    public KeyPair pair() throws GeneralSecurityException, IOException {
        if (Files.exists(file)) {
            KeyFactory factory = KeyFactory.getInstance("RSA");
            RSAPrivateCrtKey secret =
                (RSAPrivateCrtKey) factory.generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(file)));
            RSAPublicKeySpec open = new RSAPublicKeySpec(secret.getModulus(), secret.getPublicExponent());
            return new KeyPair(factory.generatePublic(open), secret);
        }
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(RecipientKey.BITS);
        KeyPair pair = generator.generateKeyPair();
        Files.write(file, pair.getPrivate().getEncoded());
        return pair;
    }
}
