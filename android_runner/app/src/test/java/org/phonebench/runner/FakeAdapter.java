package org.phonebench.runner;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TensorSpec;

/** A runtime for tests of the app: its model returns its only input. */
public final class FakeAdapter implements RuntimeAdapter {
    /** What a call does besides, for tests of what happens meanwhile; null for nothing. */
    static volatile Runnable duringACall;

    @Override
    public String format() {
        return "onnx";
    }

    @Override
    public void start(RunRequest.Runtime request) {}

    @Override
    public Session load(Path file, RunRequest.Runtime request) {
        return new Session() {
            private List<Tensor> tensors = Collections.emptyList();

            @Override
            public Optional<List<TensorSpec>> inputs() {
                return Optional.of(
                    Collections.singletonList(new TensorSpec("image", DType.FLOAT32, Arrays.asList(1, 1, 8, 8))));
            }

            @Override
            public void setInputs(List<Tensor> given) {
                tensors = given;
            }

            @Override
            public void invoke() {
                Runnable besides = duringACall;
                if (besides != null) {
                    besides.run();
                }
            }

            @Override
            public List<Tensor> outputs() {
                return tensors;
            }

            @Override
            public RunReply.Runtime report() {
                return new RunReply.Runtime("fake", "1", request.delegate(), "cpu", 1, null, null, null);
            }

            @Override
            public void close() {}
        };
    }
}
