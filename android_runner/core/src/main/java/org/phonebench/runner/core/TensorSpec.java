package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Name, element type and full shape (batch included) of one tensor of one call; an open dimension is {@link #ANY}. */
public record TensorSpec(String name, DType dtype, List<Integer> shape) {
    public static final int ANY = -1;

    public TensorSpec {
        shape = Collections.unmodifiableList(new ArrayList<>(shape));
    }

    /** How many elements the tensor has; throws {@link ArithmeticException} past 2^63 - 1. */
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

    /** Shape of a runtime as a list; sizes that no array on a phone can have are refused. */
    public static List<Integer> shapeOf(long[] sizes) {
        List<Integer> shape = new ArrayList<>(sizes.length);
        for (long size : sizes) {
            shape.add(Math.toIntExact(size));
        }
        return shape;
    }

    /** The same for a runtime that counts in {@code int}. */
    public static List<Integer> shapeOf(int[] sizes) {
        List<Integer> shape = new ArrayList<>(sizes.length);
        for (int size : sizes) {
            shape.add(size);
        }
        return shape;
    }

    /** A shape as the runtimes want it. */
    public static long[] longs(List<Integer> shape) {
        long[] sizes = new long[shape.size()];
        for (int at = 0; at < sizes.length; at++) {
            sizes[at] = shape.get(at);
        }
        return sizes;
    }
}
