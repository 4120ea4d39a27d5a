package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Name, element type and full shape (with batch) of one tensor of one call; an open dimension is {@link #ANY}. */
public record TensorSpec(String name, DType dtype, List<Integer> shape) {
    public static final int ANY = -1;

    public TensorSpec {
        shape = Collections.unmodifiableList(new ArrayList<>(shape));
    }

    /** The number of elements; throws {@link ArithmeticException} above 2^63 - 1. */
    public long elements() {
        return elements(shape);
    }

    /** Size in the file, in bytes. */
    public long bytes() {
        return Math.multiplyExact(elements(), (long) dtype.bytes());
    }

    static long elements(List<Integer> shape) {
        long product = 1;
        for (int size : shape) {
            product = Math.multiplyExact(product, (long) size);
        }
        return product;
    }

    /** A runtime's shape as a list; throws {@link ArithmeticException} for sizes above 2^31 - 1. */
    public static List<Integer> shapeOf(long[] sizes) {
        List<Integer> shape = new ArrayList<>(sizes.length);
        for (long size : sizes) {
            shape.add(Math.toIntExact(size));
        }
        return shape;
    }

    /** A runtime's shape as a list. */
    public static List<Integer> shapeOf(int[] sizes) {
        List<Integer> shape = new ArrayList<>(sizes.length);
        for (int size : sizes) {
            shape.add(size);
        }
        return shape;
    }

    /** A shape as the array that the runtimes take. */
    public static long[] longs(List<Integer> shape) {
        long[] sizes = new long[shape.size()];
        for (int at = 0; at < sizes.length; at++) {
            sizes[at] = shape.get(at);
        }
        return sizes;
    }
}
