package org.phonebench.runner.tflite;

import java.io.IOException;
import java.nio.file.Path;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;
import org.tensorflow.lite.gpu.GpuDelegate;
import org.tensorflow.lite.nnapi.NnApiDelegate;

/** TensorFlow Lite runs {@code .tflite}. Delegate {@code cpu} means the built-in kernels, without any delegate. */
public final class TfliteAdapter implements RuntimeAdapter {
    static final String NAME = "litert";
    static final String TITLE = "TensorFlow Lite";

    @Override
    public String format() {
        return "tflite";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        request.refuseOptions(TITLE);
        try {
            TensorFlowLite.init();
        } catch (LinkageError error) {
            throw RunFailure.library(TITLE, error);
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        TfliteGraph graph = graph(file);
        org.tensorflow.lite.Delegate delegate = delegate(request.delegate());
        Interpreter.Options options = new Interpreter.Options();
        options.setNumThreads(request.threads());
        options.setUseXNNPACK(request.delegate() == Delegate.XNNPACK);
        if (delegate != null) {
            options.addDelegate(delegate);
        }
        try {
            Interpreter interpreter = new Interpreter(file.toFile(), options);
            interpreter.allocateTensors();
            return new TfliteSession(interpreter, delegate, graph, request);
        } catch (RuntimeException error) {
            close(delegate);
            throw failure(file, request.delegate(), error);
        }
    }

    static void close(org.tensorflow.lite.Delegate delegate) {
        if (delegate != null) {
            delegate.close();
        }
    }

    private static TfliteGraph graph(Path file) throws RunFailure {
        try {
            return TfliteGraph.read(file);
        } catch (IOException error) {
            throw RunFailure.load(TITLE, file.getFileName().toString(), error);
        }
    }

    private static org.tensorflow.lite.Delegate delegate(Delegate requested) throws RunFailure {
        try {
            return switch (requested) {
                case CPU, XNNPACK -> null;
                case GPU -> new GpuDelegate();
                // Not on NNAPI's own implementation for the processor, which Android 10 and later can leave out.
                case NNAPI -> new NnApiDelegate(new NnApiDelegate.Options().setUseNnapiCpu(false));
                case COREML -> throw RunFailure.unsupported(FailureKind.DELEGATE,
                    "Core ML does not exist on Android: use cpu, xnnpack, gpu or nnapi");
                case QNN -> throw RunFailure.unsupported(FailureKind.DELEGATE,
                    TITLE + " has no qnn delegate, which is for .onnx: use cpu, xnnpack, gpu or nnapi");
            };
        } catch (RuntimeException | LinkageError error) {
            throw RunFailure.unsupported(FailureKind.DELEGATE, "this phone has no " + requested.wireName()
                + " delegate for " + TITLE + ": " + RunFailure.firstLine(error), error);
        }
    }

    /** Blame the delegate if the interpreter loads the file without it; otherwise blame the file. */
    private static RunFailure failure(Path file, Delegate requested, RuntimeException error) {
        if (requested == Delegate.GPU || requested == Delegate.NNAPI) {
            try (Interpreter plain = new Interpreter(file.toFile(), new Interpreter.Options().setUseXNNPACK(false))) {
                plain.allocateTensors();
                return RunFailure.unsupported(FailureKind.DELEGATE, "the " + requested.wireName() + " delegate of "
                    + TITLE + " cannot run this model on this phone: " + RunFailure.firstLine(error), error);
            } catch (RuntimeException broken) {
                return RunFailure.load(TITLE, file.getFileName().toString(), broken);
            }
        }
        return RunFailure.load(TITLE, file.getFileName().toString(), error);
    }
}
