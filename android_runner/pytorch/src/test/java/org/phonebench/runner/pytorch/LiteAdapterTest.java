package org.phonebench.runner.pytorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;

/** What can be tested without the native library, which exists only for Android. */
final class LiteAdapterTest {
    @TempDir
    Path folder;

    private Path archive(String entry, String text) throws IOException {
        Path file = folder.resolve("model.ptl");
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(file))) {
            out.putNextEntry(new ZipEntry("model/data.pkl"));
            out.putNextEntry(new ZipEntry(entry));
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return file;
    }

    @Test
    void theTypesThatTheExporterLeftAreRead() throws Exception {
        Path file = archive("model/extra/input_types.json", "[\"float32\", \"int64\"]");
        assertEquals(Arrays.asList(DType.FLOAT32, DType.INT64), InputTypes.read(file));
    }

    @Test
    void aFileOfAnotherToolHasNone() throws Exception {
        assertEquals(Collections.emptyList(), InputTypes.read(archive("model/extra/else.json", "[]")));
    }

    @Test
    void typesThatAreDamagedAreRefusedWithTheirText() throws Exception {
        Path file = archive("model/extra/input_types.json", "[\"float33\"]");
        String said = assertThrows(IOException.class, () -> InputTypes.read(file)).getMessage();
        assertTrue(said.contains("float33"), said);
    }

    @Test
    void onlyTheCpuIsOffered() {
        RunRequest.Runtime request = new RunRequest.Runtime(Delegate.XNNPACK, 1, Collections.emptyMap());
        RunFailure failure = assertThrows(RunFailure.class,
            () -> new LiteAdapter().load(folder.resolve("model.ptl"), request));
        assertTrue(failure.unsupported());
        assertTrue(failure.getMessage().contains("no xnnpack delegate (it has: cpu)"), failure.getMessage());
    }

    @Test
    void withoutTheNativeLibraryTheRuntimeIsUnsupported() {
        RunRequest.Runtime request = new RunRequest.Runtime(Delegate.CPU, 1, Collections.emptyMap());
        assertTrue(assertThrows(RunFailure.class, () -> new LiteAdapter().start(request)).unsupported());
    }
}
