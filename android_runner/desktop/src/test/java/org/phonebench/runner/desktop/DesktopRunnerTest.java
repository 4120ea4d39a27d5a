package org.phonebench.runner.desktop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import org.json.JSONObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command line with a real model and the real library, as the virtual phone starts it. */
final class DesktopRunnerTest {
    private static final Path MODEL = Paths.get("../onnxruntime/src/test/resources/open.onnx");

    @TempDir
    Path root;

    private String stored(byte[] data) throws Exception {
        String sha256 = String.format("%064x", new BigInteger(1, MessageDigest.getInstance("SHA-256").digest(data)));
        Files.createDirectories(root.resolve("store"));
        Files.write(root.resolve("store").resolve(sha256), data);
        return sha256;
    }

    private int launch(String... more) throws Exception {
        byte[] ones = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN)
            .putFloat(1).putFloat(2).putFloat(3).putFloat(4).array();
        String request = "{\"schema\":1,\"cell\":\"c\",\"launch\":0,\"artifact\":{\"file\":\"m.onnx\","
            + "\"format\":\"onnx\",\"sha256\":\"" + stored(Files.readAllBytes(MODEL)) + "\"},"
            + "\"runtime\":{\"delegate\":\"cpu\",\"threads\":1},"
            + "\"inputs\":{\"file\":\"inputs.bin\",\"count\":1,\"tensors\":[{\"name\":\"image\","
            + "\"dtype\":\"float32\",\"shape\":[1,4]}]},\"passes\":{\"outputs\":{\"count\":1}}}";
        Path job = Files.createDirectories(root.resolve("files/jobs/j-1"));
        Files.write(job.resolve("request.json"), request.getBytes(StandardCharsets.UTF_8));
        String[] given = {"--files", root.resolve("files").toString(), "--job", "j-1", "--store",
            root.resolve("store").toString(), "--inputs", stored(ones)};
        String[] all = java.util.Arrays.copyOf(given, given.length + more.length);
        System.arraycopy(more, 0, all, given.length, more.length);
        return DesktopRunner.run(all);
    }

    private JSONObject reply() throws Exception {
        Path file = root.resolve("files/jobs/j-1/reply.json");
        return new JSONObject(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
    }

    @Test
    void aLaunchComputesAndReplies() throws Exception {
        assertEquals(0, launch("--kind", "android-app", "--version", "1+abc"));
        assertEquals("ok", reply().getString("status"), reply().toString());
        assertEquals("android-app", reply().getJSONObject("runner").getString("kind"));
        assertEquals("1+abc", reply().getJSONObject("runner").getString("version"));
        ByteBuffer outputs = ByteBuffer.wrap(Files.readAllBytes(root.resolve("files/jobs/j-1/outputs.bin")))
            .order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(9, outputs.getFloat(8));
    }

    @Test
    void coresThatAreNotThereAreAReplyAndExitCode0() throws Exception {
        assertEquals(0, launch("--mask", "8000000000000000"));
        assertEquals("unsupported", reply().getString("status"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"--files x", "--job", "--nonsense 1", "", "--files x --job a/b --store s --inputs 0"})
    void aCommandLineThatIsWrongWritesNothingAndIsExitCode2(String line) {
        assertEquals(2, DesktopRunner.run(line.isEmpty() ? new String[0] : line.split(" ")));
        assertFalse(Files.exists(root.resolve("files")));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> Arguments.read(new String[] {"--job", "a/b"}))
            .getMessage().contains("plain name"));
    }
}
