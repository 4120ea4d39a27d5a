package org.phonebench.runner.pytorch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;
import org.pytorch.IValue;

/** Converts between tensors of the wire and of PyTorch. */
final class Tensors {
    private Tensors() {}

    static org.pytorch.Tensor toNative(Tensor tensor) {
        ByteBuffer data = tensor.data().duplicate().order(ByteOrder.nativeOrder());
        long[] shape = TensorSpec.longs(tensor.shape());
        return switch (tensor.dtype()) {
            case FLOAT32 -> org.pytorch.Tensor.fromBlob(data.asFloatBuffer(), shape);
            case INT64 -> org.pytorch.Tensor.fromBlob(data.asLongBuffer(), shape);
            case INT32 -> org.pytorch.Tensor.fromBlob(data.asIntBuffer(), shape);
            case INT8 -> org.pytorch.Tensor.fromBlob(data, shape);
            case UINT8 -> org.pytorch.Tensor.fromBlobUnsigned(data, shape);
            case FLOAT16, INT16, BOOL -> throw new IllegalArgumentException(
                "the Java API of PyTorch cannot create " + tensor.dtype().wireName() + " tensors");
        };
    }

    /** A copy of the values. */
    static Tensor fromNative(org.pytorch.Tensor tensor) {
        List<Integer> shape = TensorSpec.shapeOf(tensor.shape());
        return switch (tensor.dtype()) {
            case FLOAT32 -> reals(tensor.getDataAsFloatArray(), shape);
            case FLOAT64 -> reals(tensor.getDataAsDoubleArray(), shape);
            case INT64 -> integers(tensor.getDataAsLongArray(), shape);
            case INT32 -> integers(tensor.getDataAsIntArray(), shape);
            case INT8 -> bytes(tensor.getDataAsByteArray(), shape, DType.INT8);
            case UINT8 -> bytes(tensor.getDataAsUnsignedByteArray(), shape, DType.UINT8);
        };
    }

    /** The tensors of a result in order. A result is a tensor, a tuple or list, or a mapping, nested to any depth. */
    static List<org.pytorch.Tensor> flat(IValue value) {
        if (value.isTensor()) {
            return Collections.singletonList(value.toTensor());
        }
        List<org.pytorch.Tensor> tensors = new ArrayList<>();
        if (value.isTensorList()) {
            Collections.addAll(tensors, value.toTensorList());
        } else if (value.isTuple() || value.isList()) {
            for (IValue item : value.isTuple() ? value.toTuple() : value.toList()) {
                tensors.addAll(flat(item));
            }
        } else if (value.isDictStringKey()) {
            for (IValue item : value.toDictStringKey().values()) {
                tensors.addAll(flat(item));
            }
        } else {
            throw new IllegalArgumentException("the model returns something other than tensors");
        }
        return tensors;
    }

    private static Tensor reals(float[] values, List<Integer> shape) {
        Tensor tensor = Tensor.zeros(DType.FLOAT32, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setReal(at, values[at]);
        }
        return tensor;
    }

    private static Tensor reals(double[] values, List<Integer> shape) {
        Tensor tensor = Tensor.zeros(DType.FLOAT32, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setReal(at, (float) values[at]);
        }
        return tensor;
    }

    private static Tensor integers(long[] values, List<Integer> shape) {
        Tensor tensor = Tensor.zeros(DType.INT64, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setInteger(at, values[at]);
        }
        return tensor;
    }

    private static Tensor integers(int[] values, List<Integer> shape) {
        Tensor tensor = Tensor.zeros(DType.INT32, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setInteger(at, values[at]);
        }
        return tensor;
    }

    private static Tensor bytes(byte[] values, List<Integer> shape, DType dtype) {
        Tensor tensor = Tensor.zeros(dtype, shape);
        for (int at = 0; at < values.length; at++) {
            tensor.setInteger(at, values[at]);
        }
        return tensor;
    }
}
