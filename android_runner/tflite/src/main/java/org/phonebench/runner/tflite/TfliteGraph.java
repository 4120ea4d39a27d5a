package org.phonebench.runner.tflite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * How many nodes the main graph of a {@code .tflite} has, read from the file, which is a FlatBuffer.
 *
 * <p>The numbers of the fields are those of TensorFlow Lite's schema: subgraphs are field 2 of the model, operators
 * field 3 of a subgraph.
 */
record TfliteGraph(int nodes) {
    private static final int SUBGRAPHS = 2;
    private static final int OPERATORS = 3;

    /** Nodes of the graph, and those that delegates run in how many partitions; null where it cannot be told. */
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
            throw new IOException("the file is no TensorFlow Lite model, or it is cut off", error);
        }
    }

    /**
     * What an execution plan of {@code steps} says about delegates.
     *
     * <p>A plan of one step has all of the graph in one partition. A longer one does not tell how many partitions it
     * has, and so neither how many nodes are in them.
     */
    Coverage coverage(int steps, boolean asked) {
        if (!asked) {
            return new Coverage(nodes, 0, 0);
        }
        return steps == 1 && nodes > 1 ? new Coverage(nodes, nodes, 1) : new Coverage(nodes, null, null);
    }

    /**
     * Whether a plan of {@code steps} is that of a graph left to the built-in kernels: it is as long as the graph.
     *
     * <p>A delegate that took nothing leaves such a plan, and so does one that took only nodes without a neighbour that
     * it takes, because a partition of one node is one step as well. The plan does not tell the two apart.
     */
    boolean leftToKernels(int steps) {
        return steps >= nodes && nodes > 1;
    }

    /** Where the vector in a field of a table begins, with its length; 0 where the table does not have the field. */
    private static int vector(ByteBuffer data, int table, int field) {
        int vtable = table - data.getInt(table);
        int entry = 4 + 2 * field;
        int offset = entry < (data.getShort(vtable) & 0xFFFF) ? data.getShort(vtable + entry) & 0xFFFF : 0;
        return offset == 0 ? 0 : table + offset + data.getInt(table + offset);
    }
}
