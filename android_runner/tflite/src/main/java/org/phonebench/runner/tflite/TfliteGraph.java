package org.phonebench.runner.tflite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The number of nodes in the main graph of a {@code .tflite}, read from the file, which is a FlatBuffer.
 *
 * <p>The field numbers are those of TensorFlow Lite's schema: subgraphs are field 2 of the model, operators are field 3
 * of a subgraph.
 */
record TfliteGraph(int nodes) {
    private static final int SUBGRAPHS = 2;
    private static final int OPERATORS = 3;

    /** The number of nodes, of delegated nodes, and of partitions; null if unknown. */
    record Coverage(Integer total, Integer delegated, Integer partitions) {}

    static TfliteGraph read(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer data = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size())
                .order(ByteOrder.LITTLE_ENDIAN);
            int subgraphs = vector(data, data.getInt(0), SUBGRAPHS);
            if (subgraphs == 0 || data.getInt(subgraphs) < 1) {
                throw new IOException("the file has no graph");
            }
            int first = subgraphs + 4 + data.getInt(subgraphs + 4);
            int operators = vector(data, first, OPERATORS);
            return new TfliteGraph(operators == 0 ? 0 : data.getInt(operators));
        } catch (IndexOutOfBoundsException | IllegalArgumentException error) {
            throw new IOException("the file is not a TensorFlow Lite model, or it is truncated", error);
        }
    }

    /**
     * What an execution plan of {@code steps} says about delegates.
     *
     * <p>In a plan of one step, the whole graph is one partition. A longer plan shows neither the number of partitions
     * nor how many nodes are in them.
     */
    Coverage coverage(int steps, boolean delegated) {
        if (!delegated) {
            return new Coverage(nodes, 0, 0);
        }
        return steps == 1 && nodes > 1 ? new Coverage(nodes, nodes, 1) : new Coverage(nodes, null, null);
    }

    /**
     * Whether a plan of {@code steps} is as long as the graph, which means the built-in kernels run it.
     *
     * <p>A delegate that took nothing leaves such a plan. So does one that took only single nodes, because a partition
     * of one node is also one step. The plan does not distinguish the two cases.
     */
    boolean leftToKernels(int steps) {
        return steps >= nodes && nodes > 1;
    }

    /** The offset of the vector in a field of a table, which begins with its length; 0 if the field is absent. */
    private static int vector(ByteBuffer data, int table, int field) {
        int vtable = table - data.getInt(table);
        int entry = 4 + 2 * field;
        int offset = entry < (data.getShort(vtable) & 0xFFFF) ? data.getShort(vtable + entry) & 0xFFFF : 0;
        return offset == 0 ? 0 : table + offset + data.getInt(table + offset);
    }
}
