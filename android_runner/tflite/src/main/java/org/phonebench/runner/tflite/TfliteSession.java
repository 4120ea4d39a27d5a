package org.phonebench.runner.tflite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.phonebench.runner.core.Conversions;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;
import org.tensorflow.lite.DataType;
import org.tensorflow.lite.ExecutionPlan;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;

/**
 * An interpreter with allocated tensors. The Java API has no bare invoke, so a timed call also copies the inputs from
 * direct buffers into the interpreter's tensors. It does not copy the outputs.
 */
final class TfliteSession implements Session {
    private final Interpreter interpreter;
    private final org.tensorflow.lite.Delegate delegate;
    private final TfliteGraph graph;
    private final RunRequest.Runtime request;
    private Object[] inputs = {};
    private boolean open = true;

    TfliteSession(Interpreter interpreter, org.tensorflow.lite.Delegate delegate, TfliteGraph graph,
            RunRequest.Runtime request) {
        this.interpreter = interpreter;
        this.delegate = delegate;
        this.graph = graph;
        this.request = request;
    }

    @Override
    public Optional<List<TensorSpec>> inputs() {
        Map<Integer, String> names = signatureNames();
        List<TensorSpec> specs = new ArrayList<>();
        for (int at = 0; at < interpreter.getInputTensorCount(); at++) {
            org.tensorflow.lite.Tensor tensor = interpreter.getInputTensor(at);
            String name = names.getOrDefault(tensor.index(), tensor.name());
            specs.add(new TensorSpec(name, logical(tensor), openShape(tensor)));
        }
        return Optional.of(specs);
    }

    @Override
    public void setInputs(List<Tensor> tensors) throws RunFailure {
        try {
            resize(tensors);
            Object[] buffers = new Object[tensors.size()];
            for (int at = 0; at < buffers.length; at++) {
                Tensor stored = stored(tensors.get(at), interpreter.getInputTensor(at));
                buffers[at] = stored.data().duplicate().order(ByteOrder.nativeOrder());
            }
            inputs = buffers;
        } catch (RuntimeException error) {
            throw RunFailure.call(TfliteAdapter.TITLE, error);
        }
    }

    @Override
    public void invoke() throws RunFailure {
        try {
            interpreter.runForMultipleInputsOutputs(inputs, Collections.emptyMap());
        } catch (RuntimeException error) {
            throw RunFailure.call(TfliteAdapter.TITLE, error);
        }
    }

    @Override
    public List<Tensor> outputs() throws RunFailure {
        List<Tensor> outputs = new ArrayList<>();
        for (int at = 0; at < interpreter.getOutputTensorCount(); at++) {
            outputs.add(real(interpreter.getOutputTensor(at)));
        }
        return outputs;
    }

    @Override
    public RunReply.Runtime report() {
        boolean delegated = request.delegate() != Delegate.CPU;
        int steps = ExecutionPlan.length(interpreter);
        TfliteGraph.Coverage coverage = graph.coverage(steps, delegated);
        Delegate used = graph.leftToKernels(steps) ? Delegate.CPU : request.delegate();
        return new RunReply.Runtime(TfliteAdapter.NAME, TensorFlowLite.runtimeVersion(), request.delegate(),
            used.wireName(), request.threads(), coverage.total(), coverage.delegated(), coverage.partitions());
    }

    @Override
    public void close() {
        if (open) {
            open = false;
            interpreter.close();
            TfliteAdapter.close(delegate);
        }
    }

    /** Resize open dimensions to the sizes of the inputs. */
    private void resize(List<Tensor> tensors) {
        boolean changed = false;
        for (int at = 0; at < tensors.size(); at++) {
            List<Integer> shape = tensors.get(at).shape();
            if (!TensorSpec.shapeOf(interpreter.getInputTensor(at).shape()).equals(shape)) {
                int[] sizes = new int[shape.size()];
                for (int axis = 0; axis < sizes.length; axis++) {
                    sizes[axis] = shape.get(axis);
                }
                interpreter.resizeInput(at, sizes);
                changed = true;
            }
        }
        if (changed) {
            interpreter.allocateTensors();
        }
    }

    /** The exporter's input names by tensor index, if the file has exactly one signature; otherwise empty. */
    private Map<Integer, String> signatureNames() {
        Map<Integer, String> names = new HashMap<>();
        String[] keys = interpreter.getSignatureKeys();
        if (keys.length == 1) {
            for (String name : interpreter.getSignatureInputs(keys[0])) {
                names.put(interpreter.getInputTensorFromSignature(name, keys[0]).index(), name);
            }
        }
        return names;
    }

    private static List<Integer> openShape(org.tensorflow.lite.Tensor tensor) {
        int[] signature = tensor.shapeSignature();
        return TensorSpec.shapeOf(signature.length == tensor.shape().length ? signature : tensor.shape());
    }

    private static boolean quantised(org.tensorflow.lite.Tensor tensor) {
        return tensor.quantizationParams().getScale() != 0;
    }

    private static DType logical(org.tensorflow.lite.Tensor tensor) {
        return quantised(tensor) ? DType.FLOAT32 : dtype(tensor.dataType());
    }

    private static Tensor stored(Tensor input, org.tensorflow.lite.Tensor tensor) {
        DType dtype = dtype(tensor.dataType());
        if (quantised(tensor)) {
            org.tensorflow.lite.Tensor.QuantizationParams parameters = tensor.quantizationParams();
            Tensor real = Conversions.cast(input, DType.FLOAT32);
            return Conversions.quantise(real, dtype, parameters.getScale(), parameters.getZeroPoint());
        }
        return Conversions.cast(input, dtype);
    }

    private static Tensor real(org.tensorflow.lite.Tensor tensor) throws RunFailure {
        if (tensor.dataType() == DataType.STRING) {
            throw RunFailure.unsupported(FailureKind.RUN,
                "output '" + tensor.name() + "' is text, which phonebench does not support");
        }
        Tensor copy = Tensor.zeros(dtype(tensor.dataType()), TensorSpec.shapeOf(tensor.shape()));
        ByteBuffer from = tensor.asReadOnlyBuffer();
        for (int at = 0; at < copy.data().limit(); at++) {
            copy.data().put(at, from.get(at));
        }
        org.tensorflow.lite.Tensor.QuantizationParams parameters = tensor.quantizationParams();
        return quantised(tensor) ? Conversions.dequantise(copy, parameters.getScale(), parameters.getZeroPoint())
            : Conversions.asOutput(copy);
    }

    private static DType dtype(DataType type) {
        return switch (type) {
            case FLOAT32 -> DType.FLOAT32;
            case INT64 -> DType.INT64;
            case INT32 -> DType.INT32;
            case INT16 -> DType.INT16;
            case INT8 -> DType.INT8;
            case UINT8 -> DType.UINT8;
            case BOOL -> DType.BOOL;
            case STRING ->
                throw new IllegalArgumentException("the model has a tensor of text, which phonebench does not support");
        };
    }
}
