package org.phonebench.runner.executorch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.phonebench.runner.core.Conversions;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;

/** Converts between tensors of the wire and of ExecuTorch. */
final class Tensors {
    private Tensors() {}

    static org.pytorch.executorch.Tensor toNative(Tensor tensor) {
        ByteBuffer data = tensor.data().duplicate().order(ByteOrder.nativeOrder());
        long[] shape = TensorSpec.longs(tensor.shape());
        return switch (tensor.dtype()) {
            case FLOAT32 -> org.pytorch.executorch.Tensor.fromBlob(data.asFloatBuffer(), shape);
            case FLOAT16 -> org.pytorch.executorch.Tensor.fromBlob(data.asShortBuffer(), shape);
            case INT64 -> org.pytorch.executorch.Tensor.fromBlob(data.asLongBuffer(), shape);
            case INT32 -> org.pytorch.executorch.Tensor.fromBlob(data.asIntBuffer(), shape);
            case INT8 -> org.pytorch.executorch.Tensor.fromBlob(data, shape);
            case UINT8 -> org.pytorch.executorch.Tensor.fromBlobUnsigned(data, shape);
            case INT16, BOOL -> throw new IllegalArgumentException(
                "the Java API of ExecuTorch cannot create " + tensor.dtype().wireName() + " tensors");
        };
    }

    /** A copy of the values in their wire type. */
    static Tensor fromNative(org.pytorch.executorch.Tensor tensor) {
        List<Integer> shape = TensorSpec.shapeOf(tensor.shape());
        DType dtype = dtype(tensor);
        Tensor copy = Tensor.zeros(dtype, shape);
        ByteBuffer data = copy.data().duplicate().order(ByteOrder.nativeOrder());
        switch (dtype) {
            case FLOAT32 -> reals(tensor, copy);
            case FLOAT16 -> data.asShortBuffer().put(tensor.getDataAsShortArray());
            case INT64 -> data.asLongBuffer().put(tensor.getDataAsLongArray());
            case INT32 -> data.asIntBuffer().put(tensor.getDataAsIntArray());
            case INT8 -> data.put(tensor.getDataAsByteArray());
            case UINT8 -> data.put(tensor.getDataAsUnsignedByteArray());
            case INT16, BOOL -> throw new IllegalStateException("the Java API has no " + dtype.wireName() + " tensors");
        }
        return Conversions.asOutput(copy);
    }

    private static DType dtype(org.pytorch.executorch.Tensor tensor) {
        return switch (tensor.dtype()) {
            case FLOAT, DOUBLE -> DType.FLOAT32;
            case HALF -> DType.FLOAT16;
            case INT64 -> DType.INT64;
            case INT32 -> DType.INT32;
            case INT8 -> DType.INT8;
            case UINT8 -> DType.UINT8;
            default -> throw new IllegalArgumentException(
                "the Java API of ExecuTorch cannot read " + tensor.dtype() + " tensors");
        };
    }

    private static void reals(org.pytorch.executorch.Tensor tensor, Tensor copy) {
        if (tensor.dtype() == org.pytorch.executorch.DType.DOUBLE) {
            double[] values = tensor.getDataAsDoubleArray();
            for (int at = 0; at < values.length; at++) {
                copy.setReal(at, (float) values[at]);
            }
        } else {
            float[] values = tensor.getDataAsFloatArray();
            for (int at = 0; at < values.length; at++) {
                copy.setReal(at, values[at]);
            }
        }
    }
}
