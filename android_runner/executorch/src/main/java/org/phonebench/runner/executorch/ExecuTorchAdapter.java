package org.phonebench.runner.executorch;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.LanguageSession;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;
import org.pytorch.executorch.ExecuTorchRuntime;
import org.pytorch.executorch.Module;

/**
 * ExecuTorch runs {@code .pte}. The backend is fixed at export, so the file decides what it runs on, not the request.
 */
public final class ExecuTorchAdapter implements RuntimeAdapter {
    static final String NAME = "executorch";
    static final String TITLE = "ExecuTorch";
    static final String METHOD = "forward";

    @Override
    public String format() {
        return "pte";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        request.refuseOptions(TITLE);
        try {
            ExecuTorchRuntime.getRuntime();
        } catch (LinkageError error) {
            throw RunFailure.library(TITLE, error);
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        Module module = null;
        try {
            module = Module.load(file.toString(), Module.LOAD_MODE_MMAP, request.threads());
            String[] backends = backends(module);
            requireBackends(file, backends);
            // The delegate prepares its blobs here, so that this counts as part of the load and not of the first call.
            module.loadMethod(METHOD);
            return new ExecuTorchSession(module, backends, request);
        } catch (RuntimeException error) {
            if (module != null) {
                module.close();
            }
            throw RunFailure.load(TITLE, file.getFileName().toString(), error);
        }
    }

    @Override
    public LanguageSession loadLanguage(Path file, RunRequest request) throws RunFailure {
        return ExecuTorchLanguage.load(file, request, new Opener(file, request.runtime()));
    }

    /** Opens a program without loading its methods, and says what it will run on. */
    record Opener(Path file, RunRequest.Runtime request) {
        Module open() {
            return Module.load(file.toString(), Module.LOAD_MODE_MMAP, request.threads());
        }

        RunReply.Runtime report(Module module) throws RunFailure {
            String[] backends = backends(module);
            requireBackends(file, backends);
            return ExecuTorchSession.report(backends, request);
        }
    }

    private static String[] backends(Module module) {
        return module.getMethodMetadata(METHOD).getBackends();
    }

    private static void requireBackends(Path file, String[] backends) throws RunFailure {
        List<String> registered = Arrays.asList(ExecuTorchRuntime.getRegisteredBackends());
        for (String backend : backends) {
            if (!registered.contains(backend)) {
                throw RunFailure.unsupported(FailureKind.DELEGATE, "'" + file.getFileName() + "' is lowered to '"
                    + backend + "', which this build of " + TITLE + " does not have (it has: "
                    + String.join(", ", registered) + ")");
            }
        }
    }
}
