package org.phonebench.runner.onnxruntime;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;

/**
 * An inference session. Inputs are created once. A timed call is the run, in which the runtime allocates the outputs,
 * plus the release of the previous call's outputs.
 */
final class OnnxSession implements Session {
    private final OrtEnvironment environment;
    private final RunRequest.Runtime request;
    private final List<TensorSpec> specs = new ArrayList<>();
    private final List<ElementType> types = new ArrayList<>();
    private final Map<String, OnnxTensor> bound = new LinkedHashMap<>();
    private OrtSession session;
    private OrtSession.Result result;

    OnnxSession(OrtEnvironment environment, OrtSession session, RunRequest.Runtime request)
            throws OrtException, RunFailure {
        this.environment = environment;
        this.session = session;
        this.request = request;
        try {
            for (NodeInfo node : session.getInputInfo().values()) {
                TensorInfo info = tensor("input", node);
                ElementType type = ElementType.of(info.onnxType);
                types.add(type);
                specs.add(new TensorSpec(node.getName(), type.onTheWire(), TensorSpec.shapeOf(info.getShape())));
            }
            // Before any call, so that a model that cannot be measured is not run first.
            for (NodeInfo node : session.getOutputInfo().values()) {
                tensor("output", node);
            }
        } catch (RunFailure failure) {
            session.close();
            throw failure;
        }
    }

    /** The description of an input or output, if it is a tensor of numbers. */
    private static TensorInfo tensor(String role, NodeInfo node) throws RunFailure {
        if (node.getInfo() instanceof TensorInfo info && ElementType.isNumeric(info.onnxType)) {
            return info;
        }
        String kind = node.getInfo() instanceof TensorInfo info ? info.onnxType.toString() : "not a tensor";
        throw RunFailure.unsupported(FailureKind.LOAD, role + " '" + node.getName() + "' of the model is " + kind
            + ", which phonebench does not support: it must be a tensor of numbers");
    }

    @Override
    public Optional<List<TensorSpec>> inputs() {
        return Optional.of(specs);
    }

    @Override
    public void setInputs(List<Tensor> tensors) throws RunFailure {
        releaseValues();
        try {
            for (int at = 0; at < specs.size(); at++) {
                bound.put(specs.get(at).name(), types.get(at).toNative(environment, tensors.get(at)));
            }
        } catch (OrtException error) {
            throw RunFailure.call(OnnxAdapter.NAME, error);
        }
    }

    @Override
    public void invoke() throws RunFailure {
        try {
            if (result != null) {
                result.close();
                result = null;
            }
            result = session.run(bound);
        } catch (OrtException error) {
            throw RunFailure.call(OnnxAdapter.NAME, error);
        }
    }

    @Override
    public List<Tensor> outputs() throws RunFailure {
        List<Tensor> outputs = new ArrayList<>();
        for (Map.Entry<String, OnnxValue> output : result) {
            if (!(output.getValue() instanceof OnnxTensor tensor)) {
                throw RunFailure.unsupported(FailureKind.RUN,
                    "output '" + output.getKey() + "' of the model is not a tensor; phonebench supports only tensors");
            }
            outputs.add(ElementType.of(tensor.getInfo().onnxType).fromNative(tensor));
        }
        return outputs;
    }

    @Override
    public RunReply.Runtime report() {
        return new RunReply.Runtime(OnnxAdapter.NAME, environment.getVersion(), request.delegate(),
            request.delegate().wireName(), request.threads(), null, null, null);
    }

    @Override
    public void close() {
        releaseValues();
        if (session == null) {
            return;
        }
        try {
            session.close();
        } catch (OrtException error) {
            throw new IllegalStateException("ONNX Runtime cannot release the session", error);
        } finally {
            session = null;
        }
    }

    private void releaseValues() {
        if (result != null) {
            result.close();
            result = null;
        }
        for (OnnxTensor tensor : bound.values()) {
            tensor.close();
        }
        bound.clear();
    }
}
