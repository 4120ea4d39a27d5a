package org.phonebench.runner.core;

/** From the logical values of the wire to what a file stores, and back; all of it outside the timed call. */
public final class Conversions {
    private Conversions() {}

    /** The same values as {@code dtype}, within one sort; the tensor itself where it has that type already. */
    public static Tensor cast(Tensor tensor, DType dtype) {
        if (tensor.dtype() == dtype) {
            return tensor;
        }
        if (tensor.dtype().sort() != dtype.sort()) {
            throw new IllegalArgumentException("a cast of " + tensor.dtype().wireName() + " to " + dtype.wireName()
                + " would change what the values mean");
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

    /** {@code stored = clip(round(real / scale) + zeroPoint)}, ties to even. */
    public static Tensor quantise(Tensor real, DType stored, float scale, int zeroPoint) {
        long low = switch (stored) {
            case INT8 -> Byte.MIN_VALUE;
            case UINT8 -> 0;
            case INT16 -> Short.MIN_VALUE;
            default -> throw new IllegalArgumentException("nothing is quantised to " + stored.wireName());
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

    /** An output as the wire has it: a float of any width as float32, so that files of every precision compare. */
    public static Tensor asOutput(Tensor tensor) {
        return tensor.dtype().sort() == DType.Sort.FLOAT ? cast(tensor, DType.FLOAT32) : tensor;
    }
}
