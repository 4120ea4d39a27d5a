package org.phonebench.runner.desktop;

import java.nio.file.Path;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.LanguageSession;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.Session;

/**
 * Language models as {@code .pte}, run by another program over pipes: ExecuTorch has no library for the JVM.
 *
 * <p>The command is the system property {@value #COMMAND}, words separated by spaces. It gets the file and, if there is
 * one, the tokenizer.
 */
public final class PipedAdapter implements RuntimeAdapter {
    static final String COMMAND = "phonebench.pte.command";

    @Override
    public String format() {
        return "pte";
    }

    @Override
    public void start(RunRequest.Runtime request) throws RunFailure {
        request.refuseOptions("ExecuTorch");
        if (System.getProperty(COMMAND) == null) {
            throw RunFailure.unsupported(FailureKind.LOAD, "ExecuTorch has no library for this system: set the system"
                + " property " + COMMAND);
        }
    }

    @Override
    public Session load(Path file, RunRequest.Runtime request) throws RunFailure {
        throw RunFailure.unsupported(FailureKind.LOAD, "only language models are run as pte on the JVM");
    }

    @Override
    public LanguageSession loadLanguage(Path file, RunRequest request) throws RunFailure {
        return PipedLanguage.open(System.getProperty(COMMAND).split(" "), file, request);
    }
}
