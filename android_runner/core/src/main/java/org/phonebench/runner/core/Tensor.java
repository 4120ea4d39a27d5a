package org.phonebench.runner.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The values of one tensor in C order, little-endian, from index 0 of {@code data}.
 *
 * <p>Use only the absolute methods of the buffer. Those that move its position, such as {@code flip()}, have another
 * return type on Android 8 than on the JDK, so code compiled against the JDK fails there with
 * {@code NoSuchMethodError}.
 */
public record Tensor(DType dtype, List<Integer> shape, ByteBuffer data) {
    public Tensor {
        shape = Collections.unmodifiableList(new ArrayList<>(shape));
        long expected = Math.multiplyExact(TensorSpec.elements(shape), (long) dtype.bytes());
        if (data.order() != ByteOrder.LITTLE_ENDIAN || data.limit() != expected) {
            throw new IllegalArgumentException("a " + dtype.wireName() + " tensor " + shape + " needs " + expected
                + " little-endian bytes; got " + data.limit() + " " + data.order());
        }
    }

    /** A tensor of zeros in a direct buffer, which native code can read in place. */
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
            case FLOAT32, FLOAT16 -> throw new IllegalStateException(dtype.wireName() + " values are not integers");
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

    /** Set element {@code at} of an integer or truth tensor; excess high bits are dropped. */
    public void setInteger(int at, long value) {
        switch (dtype) {
            case INT64 -> data.putLong(8 * at, value);
            case INT32 -> data.putInt(4 * at, (int) value);
            case INT16 -> data.putShort(2 * at, (short) value);
            case INT8, UINT8, BOOL -> data.put(at, (byte) value);
            case FLOAT32, FLOAT16 -> throw new IllegalStateException(dtype.wireName() + " values are not integers");
        }
    }
}
