package org.phonebench.runner.executorch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.phonebench.runner.core.BundledLibrary;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;

/** A program with its method loaded. The Java API does not describe its inputs. */
final class ExecuTorchSession implements Session {
    private final String[] backends;
    private final RunRequest.Runtime request;
    private Module module;
    private EValue[] inputs = {};
    private EValue[] results = {};

    ExecuTorchSession(Module module, String[] backends, RunRequest.Runtime request) {
        this.module = module;
        this.backends = backends;
        this.request = request;
    }

    @Override
    public Optional<List<TensorSpec>> inputs() {
        return Optional.empty();
    }

    @Override
    public void setInputs(List<Tensor> tensors) throws RunFailure {
        EValue[] values = new EValue[tensors.size()];
        try {
            for (int at = 0; at < values.length; at++) {
                values[at] = EValue.from(Tensors.toNative(tensors.get(at)));
            }
        } catch (IllegalArgumentException error) {
            throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
        }
        inputs = values;
    }

    @Override
    public void invoke() throws RunFailure {
        try {
            results = module.forward(inputs);
        } catch (RuntimeException error) {
            throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
        }
    }

    @Override
    public List<Tensor> outputs() throws RunFailure {
        List<Tensor> outputs = new ArrayList<>();
        try {
            for (EValue result : results) {
                outputs.add(Tensors.fromNative(result.toTensor()));
            }
        } catch (IllegalArgumentException | IllegalStateException error) {
            throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
        }
        return outputs;
    }

    @Override
    public RunReply.Runtime report() {
        return report(backends, request);
    }

    /** What a program that is lowered to {@code backends} runs on. */
    static RunReply.Runtime report(String[] backends, RunRequest.Runtime request) {
        return new RunReply.Runtime(ExecuTorchAdapter.NAME, BundledLibrary.title(), request.delegate(),
            used(backends), request.threads(), null, null, null);
    }

    @Override
    public void close() {
        inputs = new EValue[0];
        results = new EValue[0];
        if (module != null) {
            module.close();
            module = null;
        }
    }

    /** The backends that the file is lowered to, joined by a plus. */
    private static String used(String[] backends) {
        List<String> used = new ArrayList<>();
        for (String backend : backends) {
            used.add(switch (backend) {
                case "XnnpackBackend" -> Delegate.XNNPACK.wireName();
                case "VulkanBackend" -> Delegate.GPU.wireName();
                default -> backend;
            });
        }
        return used.isEmpty() ? Delegate.CPU.wireName() : String.join("+", used);
    }
}
