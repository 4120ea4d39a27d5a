package org.phonebench.runner.core;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;

/**
 * One runtime. Each is a separate module, found by {@link java.util.ServiceLoader}, because its libraries clash with
 * those of the others.
 */
public interface RuntimeAdapter {
    /** The format that it runs, by its name on the wire. */
    String format();

    /**
     * Load the library and make the settings that apply to the whole process. The memory baseline is read after this,
     * so the runtime's own memory does not count as the model's.
     *
     * @throws RunFailure of kind {@code input} for an option that the runtime does not have
     */
    void start(RunRequest.Runtime request) throws RunFailure;

    /** Load the artifact and its delegate, ready to be called. */
    Session load(Path file, RunRequest.Runtime request) throws RunFailure;

    /**
     * Load a language model, ready to generate. By default the runtime has none.
     *
     * @param file the artifact, next to its companions
     */
    default LanguageSession loadLanguage(Path file, RunRequest request) throws RunFailure {
        throw RunFailure.unsupported(FailureKind.LOAD, "this app does not run language models as " + format()
            + ": run them on the computer, or as pte");
    }

    /**
     * A report with what only a call under observation shows, such as which nodes a delegate ran. Called after every
     * pass that measures, while no model is loaded. By default there is nothing to add.
     *
     * @param report what the session that was measured said of itself
     * @param inputs input 0 in the model's order
     */
    default RunReply.Runtime observed(Path file, RunRequest request, List<Tensor> inputs, Path scratch,
            RunReply.Runtime report) throws RunFailure {
        return report;
    }

    /** Times of single operators over the requested calls; an empty list if the runtime does not report them. */
    default List<RunReply.OperatorTime> profile(Path file, RunRequest request, List<Tensor> inputs, Path scratch)
            throws RunFailure {
        return Collections.emptyList();
    }
}
