package org.phonebench.runner.onnxruntime;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.phonebench.runner.core.Conversions;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;

/** The element types of ONNX Runtime, and the wire type of each. */
enum ElementType {
    FLOAT(DType.FLOAT32, OnnxJavaType.FLOAT),
    FLOAT16(DType.FLOAT16, OnnxJavaType.FLOAT16),
    DOUBLE(DType.FLOAT32, OnnxJavaType.DOUBLE),
    INT64(DType.INT64, OnnxJavaType.INT64),
    INT32(DType.INT32, OnnxJavaType.INT32),
    INT16(DType.INT16, OnnxJavaType.INT16),
    INT8(DType.INT8, OnnxJavaType.INT8),
    UINT8(DType.UINT8, OnnxJavaType.UINT8),
    BOOL(DType.BOOL, OnnxJavaType.BOOL);

    private final DType dtype;
    private final OnnxJavaType javaType;

    ElementType(DType dtype, OnnxJavaType javaType) {
        this.dtype = dtype;
        this.javaType = javaType;
    }

    DType onTheWire() {
        return dtype;
    }

    static ElementType of(TensorInfo.OnnxTensorType type) throws RunFailure {
        return switch (type) {
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT -> FLOAT;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 -> FLOAT16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE -> DOUBLE;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 -> INT64;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 -> INT32;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 -> INT16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 -> INT8;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 -> UINT8;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL -> BOOL;
            default -> throw RunFailure.unsupported(FailureKind.LOAD,
                "the model has a tensor of " + type + ", which phonebench does not support");
        };
    }

    /** Whether the wire has a type for the values. */
    static boolean isNumeric(TensorInfo.OnnxTensorType type) {
        try {
            of(type);
            return true;
        } catch (RunFailure unsupported) {
            return false;
        }
    }

    /** The values as a tensor of ONNX Runtime. */
    OnnxTensor toNative(OrtEnvironment environment, Tensor tensor) throws OrtException {
        ByteBuffer data = this == DOUBLE ? doubles(tensor) : Conversions.cast(tensor, dtype).data().duplicate();
        ByteBuffer ordered = data.order(ByteOrder.nativeOrder());
        return OnnxTensor.createTensor(environment, ordered, TensorSpec.longs(tensor.shape()), javaType);
    }

    /** A copy of the values in their wire type. */
    Tensor fromNative(OnnxTensor tensor) {
        List<Integer> shape = TensorSpec.shapeOf(tensor.getInfo().getShape());
        ByteBuffer data = tensor.getByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        if (this != DOUBLE) {
            return Conversions.asOutput(new Tensor(dtype, shape, data));
        }
        Tensor narrow = Tensor.zeros(DType.FLOAT32, shape);
        for (int at = 0; at < narrow.elements(); at++) {
            narrow.setReal(at, (float) data.getDouble(8 * at));
        }
        return narrow;
    }

    private static ByteBuffer doubles(Tensor tensor) {
        ByteBuffer wide = ByteBuffer.allocateDirect(8 * tensor.elements()).order(ByteOrder.nativeOrder());
        for (int at = 0; at < tensor.elements(); at++) {
            wide.putDouble(8 * at, tensor.real(at));
        }
        return wide;
    }
}
