package org.phonebench.runner.onnxruntime;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtProvider;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.providers.NNAPIFlags;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;
import org.phonebench.runner.core.Tensor;

/**
 * ONNX Runtime runs {@code .onnx}. Its libraries for desktops and for Android have the same Java API.
 *
 * <p>The request's {@code options} become session configuration entries, under the names that ONNX Runtime gives them.
 */
public final class OnnxAdapter implements RuntimeAdapter {
    static final String NAME = "onnxruntime";

    @Override
    public String format() {
        return "onnx";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        try {
            environment();
        } catch (LinkageError error) {
            throw RunFailure.library("ONNX Runtime", error);
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        try (OrtSession.SessionOptions options = options(request)) {
            return new OnnxSession(environment(), make(file, options), request);
        } catch (OrtException error) {
            throw loadFailure(file, request.delegate(), error);
        }
    }

    @Override
    public RunReply.Runtime observed(Path file, RunRequest request, List<Tensor> inputs, Path scratch,
            RunReply.Runtime report) throws RunFailure {
        OrtProvider provider = providerOf(request.runtime().delegate());
        String trace = trace(file, request.runtime(), inputs, 1, scratch);
        return provider == null ? report : NodesRun.read(trace).on(provider, report);
    }

    @Override
    public List<RunReply.OperatorTime> profile(Path file, RunRequest request, List<Tensor> inputs, Path scratch)
            throws RunFailure {
        // One more, because a first call allocates memory. Its times are left out.
        int calls = request.passes().profile().calls() + 1;
        return OperatorTimes.read(trace(file, request.runtime(), inputs, calls, scratch));
    }

    /** The failure of a file. One that is compiled for another processor is not broken. */
    private static RunFailure loadFailure(Path file, Delegate delegate, OrtException error) {
        String name = file.getFileName().toString();
        if (delegate != Delegate.QNN && String.valueOf(error.getMessage()).contains("EPContext")) {
            return RunFailure.unsupported(FailureKind.DELEGATE, "'" + name + "' is compiled for another processor and "
                + "does not run on the delegate " + delegate.wireName() + ": run a file of phonebench npu on a phone "
                + "with its chip, with --delegate qnn", error);
        }
        return delegate == Delegate.QNN ? Qnn.loadFailure(name, error) : RunFailure.load(NAME, name, error);
    }

    /** What ONNX Runtime records about {@code calls} calls of a session of its own: a JSON list of events. */
    private static String trace(Path file, RunRequest.Runtime request, List<Tensor> inputs, int calls, Path scratch)
            throws RunFailure {
        try (OrtSession.SessionOptions options = options(request)) {
            options.enableProfiling(scratch.resolve("profile").toString());
            OrtSession profiled = make(file, options);
            try (OnnxSession session = new OnnxSession(environment(), profiled, request)) {
                session.setInputs(inputs);
                for (int call = 0; call < calls; call++) {
                    session.invoke();
                }
                Path events = Paths.get(profiled.endProfiling());
                String text = new String(Files.readAllBytes(events), StandardCharsets.UTF_8);
                Files.delete(events);
                return text;
            }
        } catch (OrtException | IOException error) {
            throw RunFailure.call(NAME, error);
        }
    }

    private static OrtEnvironment environment() {
        return OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
    }

    private static OrtSession make(Path file, OrtSession.SessionOptions options) throws OrtException {
        return environment().createSession(file.toString(), options);
    }

    private static OrtSession.SessionOptions options(RunRequest.Runtime request) throws RunFailure {
        requireProvider(request.delegate());
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        try {
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            options.setInterOpNumThreads(1);
            options.setIntraOpNumThreads(request.delegate() == Delegate.XNNPACK ? 1 : request.threads());
            for (Map.Entry<String, String> entry : request.options().entrySet()) {
                options.addConfigEntry(entry.getKey(), entry.getValue());
            }
            provider(options, request);
            return options;
        } catch (OrtException error) {
            options.close();
            throw RunFailure.unsupported(FailureKind.DELEGATE, NAME + " cannot use the delegate "
                + request.delegate().wireName() + ": " + RunFailure.firstLine(error), error);
        }
    }

    /**
     * Add the execution provider of the delegate. XNNPACK has its own thread pool, and spinning threads of ONNX Runtime
     * would compete with it for the cores.
     */
    private static void provider(OrtSession.SessionOptions options, RunRequest.Runtime request) throws OrtException {
        switch (request.delegate()) {
            case XNNPACK -> {
                options.addConfigEntry("session.intra_op.allow_spinning", "0");
                options.addXnnpack(
                    Collections.singletonMap("intra_op_num_threads", Integer.toString(request.threads())));
            }
            // Without this flag NNAPI may run on its own reference implementation for the processor, which is slower
            // than everything else. It has no effect before Android 10.
            case NNAPI -> options.addNnapi(EnumSet.of(NNAPIFlags.CPU_DISABLED));
            case QNN -> Qnn.add(options);
            case CPU, GPU, COREML -> { }
        }
    }

    private static void requireProvider(Delegate delegate) throws RunFailure {
        Set<OrtProvider> available = OrtEnvironment.getAvailableProviders();
        Set<String> offered = new TreeSet<>();
        for (Delegate candidate : Delegate.values()) {
            if (available.contains(providerOf(candidate))) {
                offered.add(candidate.wireName());
            }
        }
        if (!offered.contains(delegate.wireName())) {
            throw RunFailure.unsupported(FailureKind.DELEGATE, "this build of " + NAME + " has no "
                + delegate.wireName() + " delegate (it has: " + String.join(", ", offered) + ")"
                + (delegate == Delegate.QNN ? Qnn.TO_BUILD : ""));
        }
        if (delegate == Delegate.QNN) {
            Qnn.requireLibraries(System::loadLibrary);
        }
    }

    /** The wire's name of the delegate that an execution provider is; the provider's own name if it is none. */
    static String delegateOf(String provider) {
        for (Delegate delegate : Delegate.values()) {
            OrtProvider candidate = providerOf(delegate);
            if (candidate != null && candidate.getName().equals(provider)) {
                return delegate.wireName();
            }
        }
        return provider;
    }

    private static OrtProvider providerOf(Delegate delegate) {
        return switch (delegate) {
            case CPU -> OrtProvider.CPU;
            case XNNPACK -> OrtProvider.XNNPACK;
            case NNAPI -> OrtProvider.NNAPI;
            // Core ML is for Apple's systems, and the released library has no provider for a phone's GPU.
            case QNN -> OrtProvider.QNN;
            case GPU, COREML -> null;
        };
    }
}
