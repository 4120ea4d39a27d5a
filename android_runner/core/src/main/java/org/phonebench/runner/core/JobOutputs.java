package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Runs each input once and writes {@code outputs.bin}. */
final class JobOutputs {
    static final String FILE = "outputs.bin";

    private JobOutputs() {}

    /** Write the outputs of the inputs {@code 0 … count - 1}. The file is synced to disk when this returns. */
    static RunReply.Outputs write(Path folder, Session session, JobInputs inputs, int count) throws RunFailure {
        List<TensorSpec> described = null;
        try (FileChannel file = FileChannel.open(folder.resolve(FILE), StandardOpenOption.CREATE,
                StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (int index = 0; index < count; index++) {
                session.setInputs(inputs.forModel(index, session.inputs()));
                session.invoke();
                List<Tensor> tensors = session.outputs();
                described = same(described, describe(tensors));
                for (Tensor tensor : tensors) {
                    writeAll(file, tensor.data().duplicate());
                }
            }
            file.force(true);
        } catch (IOException error) {
            throw RunFailure.failed(FailureKind.STORAGE,
                "cannot write '" + FILE + "': " + RunFailure.firstLine(error) + "; free some disk space", error);
        }
        return new RunReply.Outputs(FILE, count, described == null ? Collections.emptyList() : described);
    }

    private static List<TensorSpec> describe(List<Tensor> tensors) {
        List<TensorSpec> specs = new ArrayList<>();
        for (Tensor tensor : tensors) {
            specs.add(new TensorSpec("output_" + specs.size(), tensor.dtype(), tensor.shape()));
        }
        return specs;
    }

    private static List<TensorSpec> same(List<TensorSpec> before, List<TensorSpec> now) throws RunFailure {
        if (before != null && !before.equals(now)) {
            throw RunFailure.failed(FailureKind.RUN,
                "the outputs changed their shapes from one input to the next (" + before + " to " + now + ")");
        }
        return now;
    }

    static void writeAll(FileChannel file, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            file.write(buffer);
        }
    }
}
