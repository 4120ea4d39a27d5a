package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The alignment of an APK's libraries, with headers written by hand according to the System V ABI. */
final class LibraryPagesTest {
    private static final List<String> PHONE = Arrays.asList("arm64-v8a", "armeabi-v7a");

    @TempDir
    Path folder;

    private static byte[] wide(long... alignments) {
        ByteBuffer elf = ByteBuffer.allocate(64 + 56 * (alignments.length + 1)).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, 0x464c457f).put(4, (byte) 2).put(5, (byte) 1).putLong(32, 64);
        elf.putShort(54, (short) 56).putShort(56, (short) (alignments.length + 1));
        for (int at = 0; at < alignments.length; at++) {
            elf.putInt(64 + 56 * at, 1).putLong(64 + 56 * at + 48, alignments[at]);
        }
        // A segment that is not loadable, such as the dynamic section.
        elf.putInt(64 + 56 * alignments.length, 2).putLong(64 + 56 * alignments.length + 48, 8);
        return elf.array();
    }

    private static byte[] narrow(int alignment) {
        ByteBuffer elf = ByteBuffer.allocate(52 + 32).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, 0x464c457f).put(4, (byte) 1).put(5, (byte) 1).putInt(28, 52);
        elf.putShort(42, (short) 32).putShort(44, (short) 1).putInt(52, 1).putInt(52 + 28, alignment);
        return elf.array();
    }

    private Path apk(Object... namesAndData) throws IOException {
        Path file = folder.resolve("app.apk");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (int at = 0; at < namesAndData.length; at += 2) {
                zip.putNextEntry(new ZipEntry((String) namesAndData[at]));
                zip.write((byte[]) namesAndData[at + 1]);
            }
        }
        return file;
    }

    @Test
    void theLeastAlignmentOfWhatThePhoneTakesCounts() throws Exception {
        Path apk = apk("lib/arm64-v8a/liba.so", wide(16384, 16384), "lib/arm64-v8a/libb.so", wide(16384, 4096),
            "lib/x86_64/liba.so", wide(1024), "assets/lib.so", wide(512), "lib/arm64-v8a/notes.txt", wide(256));
        assertEquals(4096L, LibraryPages.of(apk, PHONE));
        assertEquals(1024L, LibraryPages.of(apk, Collections.singletonList("x86_64")));
    }

    @Test
    void anAppOf32BitsIsReadAsWell() throws Exception {
        assertEquals(65536L, LibraryPages.of(apk("lib/armeabi-v7a/liba.so", narrow(65536)), PHONE));
    }

    @Test
    void whatCannotBeReadIsNotTold() throws Exception {
        byte[] cut = Arrays.copyOf(wide(4096), 70);
        byte[] text = "no library at all, but long enough to have the header of one, nearly".getBytes(
            StandardCharsets.US_ASCII);
        assertNull(LibraryPages.of(apk("lib/arm64-v8a/liba.so", cut, "lib/arm64-v8a/libb.so", text), PHONE));
        assertNull(LibraryPages.of(apk("classes.dex", text), PHONE));
        assertNull(LibraryPages.of(folder.resolve("absent.apk"), PHONE));
    }
}
