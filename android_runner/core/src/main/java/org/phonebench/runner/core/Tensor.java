package org.phonebench.runner.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The values of one tensor: C order, little-endian, from index 0 of {@code data} on.
 *
 * <p>Buffers are read and written by index alone. The relative calls return another type on Android 8 than on the JDK,
 * and a program that was compiled here would not find them there.
 */
public record Tensor(DType dtype, List<Integer> shape, ByteBuffer data) {
    public Tensor {
        shape = Collections.unmodifiableList(new ArrayList<>(shape));
        long wanted = Math.multiplyExact(TensorSpec.elements(shape), (long) dtype.bytes());
        if (data.order() != ByteOrder.LITTLE_ENDIAN || data.limit() != wanted) {
            throw new IllegalArgumentException("a tensor " + dtype.wireName() + " " + shape + " needs " + wanted
                + " little-endian bytes, given were " + data.limit() + " " + data.order());
        }
    }

    /** A tensor of zeros in memory that native code can read in place. */
    public static Tensor zeros(DType dtype, List<Integer> shape) {
        long bytes = Math.multiplyExact(TensorSpec.elements(shape), (long) dtype.bytes());
        ByteBuffer data = ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
        return new Tensor(dtype, shape, data);
    }

    public int elements() {
        return data.limit() / dtype.bytes();
    }

    /** Element {@code at} of a float tensor. */
    public float real(int at) {
        return dtype == DType.FLOAT16 ? Half.toFloat(data.getShort(2 * at)) : data.getFloat(4 * at);
    }

    /** Element {@code at} of an integer or truth tensor. */
    public long integer(int at) {
        return switch (dtype) {
            case INT64 -> data.getLong(8 * at);
            case INT32 -> data.getInt(4 * at);
            case INT16 -> data.getShort(2 * at);
            case INT8 -> data.get(at);
            case UINT8, BOOL -> data.get(at) & 0xFF;
            case FLOAT32, FLOAT16 -> throw new IllegalStateException("a " + dtype.wireName() + " holds no integers");
        };
    }

    /** Set element {@code at} of a float tensor. */
    public void setReal(int at, float value) {
        if (dtype == DType.FLOAT16) {
            data.putShort(2 * at, Half.fromFloat(value));
        } else {
            data.putFloat(4 * at, value);
        }
    }

    /** Set element {@code at} of an integer or truth tensor; higher bits fall away. */
    public void setInteger(int at, long value) {
        switch (dtype) {
            case INT64 -> data.putLong(8 * at, value);
            case INT32 -> data.putInt(4 * at, (int) value);
            case INT16 -> data.putShort(2 * at, (short) value);
            case INT8, UINT8, BOOL -> data.put(at, (byte) value);
            case FLOAT32, FLOAT16 -> throw new IllegalStateException("a " + dtype.wireName() + " holds no integers");
        }
    }
}
