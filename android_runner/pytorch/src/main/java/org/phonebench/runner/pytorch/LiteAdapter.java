package org.phonebench.runner.pytorch;

import java.io.IOException;
import java.nio.file.Path;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;
import org.pytorch.LiteModuleLoader;
import org.pytorch.Module;
import org.pytorch.PyTorchAndroid;

/** PyTorch's lite interpreter runs {@code .ptl}, only on the CPU. */
public final class LiteAdapter implements RuntimeAdapter {
    static final String NAME = "torchscript-lite";
    static final String TITLE = "TorchScript";

    @Override
    public String format() {
        return "ptl";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        request.refuseOptions(TITLE);
        try {
            PyTorchAndroid.setNumThreads(request.threads());
        } catch (LinkageError error) {
            throw RunFailure.library("PyTorch", error);
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        if (request.delegate() != Delegate.CPU) {
            throw RunFailure.unsupported(FailureKind.DELEGATE, "this build of " + TITLE + " has no "
                + request.delegate().wireName() + " delegate (it has: cpu)");
        }
        try {
            Module module = LiteModuleLoader.load(file.toString());
            return new LiteSession(module, InputTypes.read(file), request);
        } catch (IOException | RuntimeException error) {
            throw RunFailure.load(TITLE, file.getFileName().toString(), error);
        }
    }
}
