package org.phonebench.runner.core;

/** Converts between the logical values on the wire and the values that a file stores, outside the timed call. */
public final class Conversions {
    private Conversions() {}

    /** The values converted to {@code dtype} of the same sort; the tensor itself if it already has that type. */
    public static Tensor cast(Tensor tensor, DType dtype) {
        if (tensor.dtype() == dtype) {
            return tensor;
        }
        if (tensor.dtype().sort() != dtype.sort()) {
            throw new IllegalArgumentException("cannot cast " + tensor.dtype().wireName() + " to " + dtype.wireName()
                + ": the values would change their meaning");
        }
        Tensor result = Tensor.zeros(dtype, tensor.shape());
        for (int at = 0; at < tensor.elements(); at++) {
            if (dtype.sort() == DType.Sort.FLOAT) {
                result.setReal(at, tensor.real(at));
            } else {
                result.setInteger(at, tensor.integer(at));
            }
        }
        return result;
    }

    /** {@code stored = clip(round(real / scale) + zeroPoint)}, with ties rounded to even. */
    public static Tensor quantise(Tensor real, DType stored, float scale, int zeroPoint) {
        long low = switch (stored) {
            case INT8 -> Byte.MIN_VALUE;
            case UINT8 -> 0;
            case INT16 -> Short.MIN_VALUE;
            default -> throw new IllegalArgumentException("cannot quantise to " + stored.wireName());
        };
        long high = low + (1L << (8 * stored.bytes())) - 1;
        Tensor result = Tensor.zeros(stored, real.shape());
        for (int at = 0; at < real.elements(); at++) {
            double value = Math.rint(real.real(at) / scale) + zeroPoint;
            result.setInteger(at, Math.max(low, Math.min(high, (long) value)));
        }
        return result;
    }

    /** {@code real = (stored - zeroPoint) * scale} as float32. */
    public static Tensor dequantise(Tensor stored, float scale, int zeroPoint) {
        Tensor result = Tensor.zeros(DType.FLOAT32, stored.shape());
        for (int at = 0; at < stored.elements(); at++) {
            result.setReal(at, (stored.integer(at) - zeroPoint) * scale);
        }
        return result;
    }

    /** An output in its wire type: floats of any width become float32, so outputs of all precisions can be compared. */
    public static Tensor asOutput(Tensor tensor) {
        return tensor.dtype().sort() == DType.Sort.FLOAT ? cast(tensor, DType.FLOAT32) : tensor;
    }
}
