package org.phonebench.runner.core;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;

/** Reads {@code inputs.bin}, the tensors of one call at a time, so a large file is never in memory as a whole. */
final class JobInputs {
    private final Path path;
    private final RunRequest.Inputs described;

    private JobInputs(Path path, RunRequest.Inputs described) {
        this.path = path;
        this.described = described;
    }

    /** The inputs, after checking the file's length against the request, and its digest if it is in a store. */
    static JobInputs checked(JobPlace place, RunRequest request) throws RunFailure {
        RunRequest.Inputs inputs = request.inputs();
        int needed = request.passes().inputsNeeded();
        if (needed > inputs.count()) {
            throw RunFailure.failed(FailureKind.INPUT, "the request has " + inputs.count()
                + " inputs but needs " + needed + " for its passes: send at least that many");
        }
        Path path = place.inputs(inputs);
        try {
            long size = Files.size(path);
            long expected = Math.multiplyExact((long) inputs.count(), inputs.recordBytes());
            if (size != expected) {
                throw RunFailure.failed(FailureKind.INPUT, "'" + inputs.file() + "' has " + size + " bytes; "
                    + inputs.count() + " inputs of these tensors take " + expected + ": push it again");
            }
            checkDigest(path, place.store() == null ? null : place.inputsSha256(), inputs.sha256());
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.INPUT,
                "cannot read the inputs '" + inputs.file() + "': " + error.getMessage() + "; push them again", error);
        } catch (ArithmeticException error) {
            throw RunFailure.failed(FailureKind.INPUT, "the sizes in the request's inputs overflow", error);
        }
        return new JobInputs(path, inputs);
    }

    /** Refuse a file that does not have a digest that is expected; one that is null is not. */
    private static void checkDigest(Path path, String inStore, String inRequest) throws IOException, RunFailure {
        if (inStore == null && inRequest == null) {
            return;
        }
        String sha256 = Digest.sha256(path);
        for (String expected : Arrays.asList(inStore, inRequest)) {
            if (expected != null && !expected.equals(sha256)) {
                throw RunFailure.failed(FailureKind.INPUT,
                    "the inputs do not have the sha256 " + expected + ": push them again");
            }
        }
    }

    /** Input {@code index} with its tensors in the order of the request. */
    List<Tensor> asGiven(int index) throws RunFailure {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.READ)) {
            long offset = index * described.recordBytes();
            List<Tensor> tensors = new ArrayList<>();
            for (TensorSpec spec : described.tensors()) {
                Tensor tensor = Tensor.zeros(spec.dtype(), spec.shape());
                fill(file, offset, tensor.data().duplicate());
                offset += spec.bytes();
                tensors.add(tensor);
            }
            return tensors;
        } catch (IOException | ArithmeticException error) {
            throw RunFailure.failed(FailureKind.INPUT, "cannot read input " + index + ": " + error.getMessage(), error);
        }
    }

    /** Input {@code index}, checked and in the model's order: by name if all names match, else in request order. */
    List<Tensor> forModel(int index, Optional<List<TensorSpec>> model) throws RunFailure {
        List<Tensor> tensors = asGiven(index);
        if (!model.isPresent()) {
            return tensors;
        }
        List<Tensor> ordered = byName(model.get(), tensors);
        check(model.get(), ordered);
        return ordered;
    }

    private List<Tensor> byName(List<TensorSpec> specs, List<Tensor> tensors) {
        List<String> names = names(described.tensors());
        List<String> modelNames = names(specs);
        boolean same = modelNames.size() == names.size() && new HashSet<>(names).equals(new HashSet<>(modelNames))
            && new HashSet<>(names).size() == names.size();
        if (!same) {
            return tensors;
        }
        List<Tensor> ordered = new ArrayList<>();
        for (String name : modelNames) {
            ordered.add(tensors.get(names.indexOf(name)));
        }
        return ordered;
    }

    /** Refuse tensors whose count, shapes or sorts the model does not take. */
    static void check(List<TensorSpec> specs, List<Tensor> tensors) throws RunFailure {
        if (specs.size() != tensors.size()) {
            throw RunFailure.failed(FailureKind.INPUT, "the model has " + specs.size() + " inputs but got "
                + tensors.size() + ": correct [[input]] in model.toml");
        }
        for (int at = 0; at < specs.size(); at++) {
            TensorSpec spec = specs.get(at);
            Tensor tensor = tensors.get(at);
            if (!fits(spec.shape(), tensor.shape()) || spec.dtype().sort() != tensor.dtype().sort()) {
                throw RunFailure.failed(FailureKind.INPUT, "input '" + spec.name() + "' of the model is "
                    + spec.dtype().wireName() + " " + spec.shape() + ", but got " + tensor.dtype().wireName() + " "
                    + tensor.shape() + ": correct [[input]] in model.toml");
            }
        }
    }

    private static boolean fits(List<Integer> spec, List<Integer> shape) {
        boolean fits = spec.size() == shape.size();
        for (int at = 0; fits && at < shape.size(); at++) {
            fits = spec.get(at) == TensorSpec.ANY || spec.get(at).equals(shape.get(at));
        }
        return fits;
    }

    private static List<String> names(List<TensorSpec> specs) {
        List<String> names = new ArrayList<>();
        for (TensorSpec spec : specs) {
            names.add(spec.name());
        }
        return Collections.unmodifiableList(names);
    }

    private static void fill(FileChannel file, long offset, ByteBuffer buffer) throws IOException {
        long at = offset;
        while (buffer.hasRemaining()) {
            int read = file.read(buffer, at);
            if (read < 0) {
                throw new EOFException("the file ends at byte " + at);
            }
            at += read;
        }
    }
}
