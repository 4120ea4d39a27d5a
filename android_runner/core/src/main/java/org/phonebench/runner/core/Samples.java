package org.phonebench.runner.core;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Times of calls in ns, in order. Chunks are allocated ahead of time, and only between calls.
 *
 * <p>The chunks are mapped from a deleted file. They do not count as owned memory then, and the many samples of a fast
 * model do not distort the memory pass that follows.
 */
final class Samples {
    static final int CHUNK = 65_536;

    private final Path folder;
    private final List<LongBuffer> chunks = new ArrayList<>();
    private LongBuffer last;
    private int inLast;

    Samples(Path folder) throws RunFailure {
        this.folder = folder;
        grow();
    }

    /** Keep one more sample. Only call this between timed calls, because it may allocate. */
    void append(long value) throws RunFailure {
        last.put(inLast, value);
        inLast++;
        if (inLast == CHUNK) {
            grow();
        }
    }

    int size() {
        return (chunks.size() - 1) * CHUNK + inLast;
    }

    /** A copy of all samples. */
    long[] values() {
        long[] values = new long[size()];
        for (int at = 0; at < values.length; at++) {
            values[at] = chunks.get(at / CHUNK).get(at % CHUNK);
        }
        return values;
    }

    private void grow() throws RunFailure {
        Path path = folder.resolve("samples.tmp");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            last = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 8L * CHUNK)
                .order(ByteOrder.nativeOrder()).asLongBuffer();
            Files.delete(path);
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.STORAGE,
                "cannot store the samples: " + RunFailure.firstLine(error) + "; free some disk space", error);
        }
        // Touch each page (512 longs) now, or page faults would happen between timed calls.
        for (int at = 0; at < CHUNK; at += 512) {
            last.put(at, 0);
        }
        chunks.add(last);
        inLast = 0;
    }
}
