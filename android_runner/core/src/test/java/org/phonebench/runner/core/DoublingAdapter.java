package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A runtime for tests: its model has two inputs {@code a} and {@code b}, two floats each, and returns {@code 2a + b}.
 *
 * <p>An option of the request makes it fail in the way that the option names.
 */
final class DoublingAdapter implements RuntimeAdapter {
    final List<String> events = new ArrayList<>();
    /** The contents of the artifact, each time that it was passed in; null if there was none. */
    final List<byte[]> files = new ArrayList<>();
    Set<PosixFilePermission> filePermissions;
    Set<PosixFilePermission> folderPermissions;
    boolean fileDuringCalls;
    List<Tensor> profiled = Collections.emptyList();
    private Path artifact;

    @Override
    public String format() {
        return "onnx";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        events.add("start");
        if (request.options().containsKey("unknown")) {
            throw RunFailure.failed(FailureKind.INPUT, "no option 'unknown'");
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        events.add("load");
        look(file);
        if (request.delegate() != Delegate.CPU && request.delegate() != Delegate.XNNPACK) {
            throw RunFailure.unsupported(FailureKind.DELEGATE, "no " + request.delegate().wireName());
        }
        return new DoublingSession(request);
    }

    @Override
    public RunReply.Runtime observed(Path file, RunRequest request, List<Tensor> inputs, Path scratch,
            RunReply.Runtime report) throws RunFailure {
        events.add("observe");
        look(file);
        if (request.runtime().options().containsKey("blind")) {
            throw RunFailure.failed(FailureKind.RUN, "no trace");
        }
        return report.ran("xnnpack", 5, 4, null);
    }

    @Override
    public List<RunReply.OperatorTime> profile(Path file, RunRequest request, List<Tensor> inputs, Path scratch) {
        events.add("profile");
        look(file);
        profiled = inputs;
        return Collections.singletonList(new RunReply.OperatorTime("add", "Add", "cpu", new long[] {1000}));
    }

    private void look(Path file) {
        artifact = file;
        try {
            files.add(Files.readAllBytes(file));
            filePermissions = Files.getPosixFilePermissions(file);
            folderPermissions = Files.getPosixFilePermissions(file.getParent());
        } catch (IOException error) {
            files.add(null);
        }
    }

    private final class DoublingSession implements Session {
        private final RunRequest.Runtime request;
        private final Tensor sum = Tensor.zeros(DType.FLOAT32, Arrays.asList(1, 2));
        private List<Tensor> inputs = Collections.emptyList();
        private boolean open = true;

        DoublingSession(RunRequest.Runtime request) {
            this.request = request;
        }

        @Override
        public Optional<List<TensorSpec>> inputs() {
            return Optional.of(Arrays.asList(new TensorSpec("a", DType.FLOAT32, Arrays.asList(1, 2)),
                new TensorSpec("b", DType.FLOAT32, Arrays.asList(TensorSpec.ANY, 2))));
        }

        @Override
        public void setInputs(List<Tensor> tensors) {
            events.add("set");
            inputs = tensors;
        }

        @Override
        public void invoke() throws RunFailure {
            fileDuringCalls |= Files.exists(artifact);
            if (request.options().containsKey("fail")) {
                throw RunFailure.call("doubling", new IllegalStateException("std::bad_alloc"));
            }
            if (request.options().containsKey("bug")) {
                throw new IllegalStateException("a bug");
            }
            if (request.options().containsKey("deep")) {
                throw new StackOverflowError();
            }
            for (int at = 0; at < 2; at++) {
                sum.setReal(at, 2 * inputs.get(0).real(at) + inputs.get(1).real(at));
            }
        }

        @Override
        public List<Tensor> outputs() {
            return Collections.singletonList(sum);
        }

        @Override
        public RunReply.Runtime report() {
            return new RunReply.Runtime(
                "doubling", "1", request.delegate(), "cpu", request.threads(), null, null, null);
        }

        @Override
        public void close() {
            if (open) {
                open = false;
                events.add("close");
            }
            if (request.options().containsKey("stuck")) {
                throw new IllegalStateException("the model cannot be released");
            }
        }
    }
}
