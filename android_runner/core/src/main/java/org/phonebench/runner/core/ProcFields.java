package org.phonebench.runner.core;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * A file in {@code /proc} with lines of the form {@code Key: 123 kB}.
 *
 * <p>It can be read repeatedly without allocating, so that reading memory does not itself use memory.
 */
final class ProcFields implements Closeable {
    private final RandomAccessFile file;
    private final byte[] text = new byte[16_384];
    private int length;

    ProcFields(Path path) throws IOException {
        file = new RandomAccessFile(path.toFile(), "r");
    }

    /** Read the current contents of the file. */
    void refresh() throws IOException {
        file.seek(0);
        length = 0;
        int read;
        while (length < text.length && (read = file.read(text, length, text.length - length)) > 0) {
            length += read;
        }
    }

    /** The value of {@code key} in bytes; -1 if the file does not have it. */
    long bytes(byte[] key) {
        int line = 0;
        while (line < length) {
            int end = line;
            while (end < length && text[end] != '\n') {
                end++;
            }
            if (starts(line, end, key)) {
                return 1024 * number(line + key.length + 1, end);
            }
            line = end + 1;
        }
        return -1;
    }

    /** The value of {@code key} in bytes; null if the file does not have it. */
    Long value(byte[] key) {
        long bytes = bytes(key);
        return bytes < 0 ? null : bytes;
    }

    static byte[] key(String name) {
        return name.getBytes(StandardCharsets.US_ASCII);
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private boolean starts(int line, int end, byte[] key) {
        if (line + key.length >= end || text[line + key.length] != ':') {
            return false;
        }
        for (int at = 0; at < key.length; at++) {
            if (text[line + at] != key[at]) {
                return false;
            }
        }
        return true;
    }

    private long number(int from, int end) {
        long value = 0;
        for (int at = from; at < end; at++) {
            if (text[at] >= '0' && text[at] <= '9') {
                value = 10 * value + text[at] - '0';
            }
        }
        return value;
    }
}
