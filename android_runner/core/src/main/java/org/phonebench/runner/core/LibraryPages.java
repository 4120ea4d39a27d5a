package org.phonebench.runner.core;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Reads the page size that the native libraries of an APK are aligned to. A phone with larger pages cannot map them
 * directly.
 */
public final class LibraryPages {
    private static final int HEAD_BYTES = 1 << 16;
    private static final int MAGIC = 0x464c457f;
    private static final int LOAD = 1;

    private LibraryPages() {}

    /**
     * The smallest alignment, in bytes, of the loadable segments of the libraries for the first of {@code abis} that
     * the APK has libraries for; null if it cannot be read.
     */
    public static Long of(Path apk, List<String> abis) {
        try (ZipFile zip = new ZipFile(apk.toFile())) {
            for (String abi : abis) {
                List<ZipEntry> libraries = libraries(zip, "lib/" + abi + "/");
                if (!libraries.isEmpty()) {
                    return least(zip, libraries);
                }
            }
            return null;
        } catch (IOException unreadable) {
            return null;
        }
    }

    private static List<ZipEntry> libraries(ZipFile zip, String folder) {
        List<ZipEntry> libraries = new ArrayList<>();
        for (ZipEntry entry : Collections.list(zip.entries())) {
            if (entry.getName().startsWith(folder) && entry.getName().endsWith(".so")) {
                libraries.add(entry);
            }
        }
        return libraries;
    }

    private static Long least(ZipFile zip, List<ZipEntry> libraries) throws IOException {
        Long least = null;
        for (ZipEntry entry : libraries) {
            byte[] head = new byte[(int) Math.min(entry.getSize(), HEAD_BYTES)];
            try (InputStream in = zip.getInputStream(entry)) {
                new DataInputStream(in).readFully(head);
            }
            Long alignment = alignment(ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN));
            if (alignment != null && (least == null || alignment < least)) {
                least = alignment;
            }
        }
        return least;
    }

    /**
     * The smallest {@code p_align} of the loadable segments; null if the file is not an ELF library.
     *
     * <p>The offsets are those of the ELF64 and ELF32 headers in the System V ABI.
     */
    private static Long alignment(ByteBuffer elf) {
        if (elf.limit() < 64 || elf.getInt(0) != MAGIC) {
            return null;
        }
        boolean wide = elf.get(4) == 2;
        long table = wide ? elf.getLong(32) : Integer.toUnsignedLong(elf.getInt(28));
        int size = Short.toUnsignedInt(elf.getShort(wide ? 54 : 42));
        int count = Short.toUnsignedInt(elf.getShort(wide ? 56 : 44));
        if (size < (wide ? 56 : 32) || table < 0 || table > elf.limit() - (long) size * count) {
            return null;
        }
        Long least = null;
        for (int at = 0; at < count; at++) {
            int segment = (int) table + at * size;
            long alignment = wide ? elf.getLong(segment + 48) : Integer.toUnsignedLong(elf.getInt(segment + 28));
            if (elf.getInt(segment) == LOAD && (least == null || alignment < least)) {
                least = alignment;
            }
        }
        return least;
    }
}
