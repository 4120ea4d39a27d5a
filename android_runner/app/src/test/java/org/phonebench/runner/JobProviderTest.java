package org.phonebench.runner;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;

import android.content.ContentResolver;
import android.content.Context;
import android.net.Uri;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/** The provider, accessed through Android's resolver like the shell command {@code content} does. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, manifest = Config.NONE)
public final class JobProviderTest {
    private static final String AUTHORITY = "org.phonebench.runner.test.jobs";

    private final Context context = RuntimeEnvironment.getApplication();
    private final ContentResolver resolver = context.getContentResolver();

    @Before
    public void aProvider() {
        Robolectric.setupContentProvider(JobProvider.class, AUTHORITY);
    }

    private static Uri uri(String path) {
        return Uri.parse("content://" + AUTHORITY + "/" + path);
    }

    private void write(String path, byte[] data) throws Exception {
        try (OutputStream out = resolver.openOutputStream(uri(path), "w")) {
            out.write(data);
        }
    }

    private Path file(String name) {
        return Jobs.folder(context, "job-1").resolve(name);
    }

    @Test
    public void aRequestIsWrittenIntoItsJob() throws Exception {
        byte[] data = "{\"schema\": 1}".getBytes(StandardCharsets.UTF_8);
        write("job-1/request.json", data);
        assertArrayEquals(data, Files.readAllBytes(file("request.json")));
    }

    @Test
    public void aReplyIsReadByteForByte() throws Exception {
        Files.createDirectories(file("").normalize());
        byte[] data = {0, 1, (byte) 0xFF, '\n', '\r'};
        Files.write(file("outputs.bin"), data);
        byte[] found = new byte[16];
        try (InputStream in = resolver.openInputStream(uri("job-1/outputs.bin"))) {
            assertEquals(data.length, in.read(found));
            assertEquals(-1, in.read());
        }
        assertArrayEquals(data, java.util.Arrays.copyOf(found, data.length));
    }

    @Test
    public void aReplyThatIsNotThereYetIsNoFile() {
        FileNotFoundException error =
            assertThrows(FileNotFoundException.class, () -> resolver.openInputStream(uri("job-1/reply.json")));
        assertEquals("No such file or directory: " + uri("job-1/reply.json"), error.getMessage());
    }

    @Test
    public void onlyARequestCanBeWritten() {
        assertThrows(FileNotFoundException.class, () -> write("job-1/reply.json", new byte[1]));
        assertFalse(Files.exists(file("reply.json")));
    }

    @Test
    public void nothingOutsideAJobCanBeReached() {
        String[] paths = {"job-1", "..%2Fjobs/request.json", "job-1/..%2F..%2Fx", "a/b/request.json", ""};
        for (String path : paths) {
            assertThrows(path, FileNotFoundException.class, () -> resolver.openInputStream(uri(path)));
        }
    }

    @Test
    public void aJobIsDeletedWithAllItsFiles() throws Exception {
        write("job-1/request.json", new byte[1]);
        Files.write(file("digits.onnx"), new byte[1]);
        assertEquals(3, resolver.delete(uri("job-1"), null, null));
        assertFalse(Files.exists(Jobs.folder(context, "job-1")));
        assertEquals(0, resolver.delete(uri("job-1"), null, null));
    }
}
