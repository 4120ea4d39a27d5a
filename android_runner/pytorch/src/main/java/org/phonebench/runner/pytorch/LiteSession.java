package org.phonebench.runner.pytorch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.phonebench.runner.core.BundledLibrary;
import org.phonebench.runner.core.Conversions;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;
import org.pytorch.IValue;
import org.pytorch.Module;

/** A module of the lite interpreter, which does not describe its inputs. */
final class LiteSession implements Session {
    private final List<DType> inputTypes;
    private final RunRequest.Runtime request;
    private Module module;
    private IValue[] inputs = {};
    private IValue result;

    LiteSession(Module module, List<DType> inputTypes, RunRequest.Runtime request) {
        this.module = module;
        this.inputTypes = inputTypes;
        this.request = request;
    }

    @Override
    public Optional<List<TensorSpec>> inputs() {
        return Optional.empty();
    }

    @Override
    public void setInputs(List<Tensor> tensors) throws RunFailure {
        IValue[] values = new IValue[tensors.size()];
        for (int at = 0; at < values.length; at++) {
            Tensor tensor = tensors.get(at);
            try {
                Tensor typed =
                    inputTypes.size() == values.length ? Conversions.cast(tensor, inputTypes.get(at)) : tensor;
                values[at] = IValue.from(Tensors.toNative(typed));
            } catch (IllegalArgumentException error) {
                throw RunFailure.call(LiteAdapter.TITLE, error);
            }
        }
        inputs = values;
    }

    @Override
    public void invoke() throws RunFailure {
        try {
            result = module.forward(inputs);
        } catch (RuntimeException error) {
            throw RunFailure.call(LiteAdapter.TITLE, error);
        }
    }

    @Override
    public List<Tensor> outputs() throws RunFailure {
        List<Tensor> outputs = new ArrayList<>();
        try {
            for (org.pytorch.Tensor tensor : Tensors.flat(result)) {
                outputs.add(Tensors.fromNative(tensor));
            }
        } catch (IllegalArgumentException | IllegalStateException error) {
            throw RunFailure.call(LiteAdapter.TITLE, error);
        }
        return outputs;
    }

    @Override
    public RunReply.Runtime report() {
        return new RunReply.Runtime(LiteAdapter.NAME, BundledLibrary.title(), request.delegate(),
            Delegate.CPU.wireName(), request.threads(), null, null, null);
    }

    @Override
    public void close() {
        result = null;
        inputs = new IValue[0];
        if (module != null) {
            module.destroy();
            module = null;
        }
    }
}
