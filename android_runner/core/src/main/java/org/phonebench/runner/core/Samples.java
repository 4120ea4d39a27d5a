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
 * Times of calls in order, in ns. A chunk is allocated before it is needed, and only between calls.
 *
 * <p>The chunks are pages of a file that has no name any more, so that many samples of a fast model do not pass for
 * memory of the model in the pass that follows.
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

    /** Keep one more; between calls, since it may allocate. */
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

    /** All of them. */
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
                "cannot keep the samples: " + RunFailure.firstLine(error) + "; free some space", error);
        }
        // Each page is touched here, or its first touch would come between two timed calls.
        for (int at = 0; at < CHUNK; at += 512) {
            last.put(at, 0);
        }
        chunks.add(last);
        inLast = 0;
    }
}
