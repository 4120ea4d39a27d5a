package org.phonebench.runner.core;

import java.util.Locale;

/** The element type of a tensor on the wire, little-endian in the {@code .bin} files. */
public enum DType {
    FLOAT32(4, Sort.FLOAT),
    FLOAT16(2, Sort.FLOAT),
    INT64(8, Sort.INTEGER),
    INT32(4, Sort.INTEGER),
    INT16(2, Sort.INTEGER),
    INT8(1, Sort.INTEGER),
    UINT8(1, Sort.INTEGER),
    BOOL(1, Sort.TRUTH);

    /** The meaning of the values. A cast within one sort keeps it. */
    public enum Sort { FLOAT, INTEGER, TRUTH }

    private final int bytes;
    private final Sort sort;

    DType(int bytes, Sort sort) {
        this.bytes = bytes;
        this.sort = sort;
    }

    /** Size of one element, in bytes. */
    public int bytes() {
        return bytes;
    }

    public Sort sort() {
        return sort;
    }

    /** The name on the wire, such as {@code float32}. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
