package org.phonebench.runner.core;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;

/** {@code inputs.bin} behind its description: one call's tensors at a time, so that a large file is never in memory. */
final class JobInputs {
    private final Path path;
    private final RunRequest.Inputs described;

    private JobInputs(Path path, RunRequest.Inputs described) {
        this.path = path;
        this.described = described;
    }

    /** The inputs once the file's length, and in a store its digest, are what the request says. */
    static JobInputs checked(JobPlace place, RunRequest request) throws RunFailure {
        RunRequest.Inputs inputs = request.inputs();
        RunRequest.Outputs outputs = request.passes().outputs();
        if (outputs != null && outputs.count() > inputs.count()) {
            throw RunFailure.failed(FailureKind.INPUT, "the request gives " + inputs.count()
                + " inputs and asks for the outputs of " + outputs.count() + ": give them all");
        }
        Path path = place.inputs(inputs);
        try {
            long found = Files.size(path);
            long wanted = Math.multiplyExact((long) inputs.count(), inputs.recordBytes());
            if (found != wanted) {
                throw RunFailure.failed(FailureKind.INPUT, "'" + inputs.file() + "' has " + found + " bytes, "
                    + inputs.count() + " inputs of the given tensors make " + wanted + ": push it again");
            }
            if (place.store() != null && !Digest.sha256(path).equals(place.inputsSha256())) {
                throw RunFailure.failed(FailureKind.INPUT,
                    "the inputs are not those of sha256 " + place.inputsSha256() + ": push them again");
            }
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.INPUT,
                "cannot read the inputs '" + inputs.file() + "': " + error.getMessage() + "; push them again", error);
        } catch (ArithmeticException error) {
            throw RunFailure.failed(FailureKind.INPUT, "the tensors of the inputs are too large to be true", error);
        }
        return new JobInputs(path, inputs);
    }

    /** Input {@code index} in the order of the request. */
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

    /** Input {@code index} in the model's order, checked: by name where all names agree, else as given. */
    List<Tensor> forModel(int index, Session session) throws RunFailure {
        List<Tensor> given = asGiven(index);
        if (!session.inputs().isPresent()) {
            return given;
        }
        List<TensorSpec> wanted = session.inputs().get();
        List<Tensor> ordered = byName(wanted, given);
        check(wanted, ordered);
        return ordered;
    }

    private List<Tensor> byName(List<TensorSpec> wanted, List<Tensor> given) {
        List<String> names = names(described.tensors());
        List<String> asked = names(wanted);
        boolean same = asked.size() == names.size() && new HashSet<>(names).equals(new HashSet<>(asked))
            && new HashSet<>(names).size() == names.size();
        if (!same) {
            return given;
        }
        List<Tensor> ordered = new ArrayList<>();
        for (String name : asked) {
            ordered.add(given.get(names.indexOf(name)));
        }
        return ordered;
    }

    /** Refuse a count, a shape or a sort that the model does not take. */
    static void check(List<TensorSpec> specs, List<Tensor> tensors) throws RunFailure {
        if (specs.size() != tensors.size()) {
            throw RunFailure.failed(FailureKind.INPUT, "the model has " + specs.size() + " inputs, " + tensors.size()
                + " were given: correct [[input]] in model.toml");
        }
        for (int at = 0; at < specs.size(); at++) {
            TensorSpec spec = specs.get(at);
            Tensor tensor = tensors.get(at);
            if (!fits(spec.shape(), tensor.shape()) || spec.dtype().sort() != tensor.dtype().sort()) {
                throw RunFailure.failed(FailureKind.INPUT, "input '" + spec.name() + "' of the model is "
                    + spec.dtype().wireName() + " " + spec.shape() + ", given was " + tensor.dtype().wireName() + " "
                    + tensor.shape() + ": correct [[input]] in model.toml");
            }
        }
    }

    private static boolean fits(List<Integer> wanted, List<Integer> given) {
        boolean fits = wanted.size() == given.size();
        for (int at = 0; fits && at < given.size(); at++) {
            fits = wanted.get(at) == TensorSpec.ANY || wanted.get(at).equals(given.get(at));
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
