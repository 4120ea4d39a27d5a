package org.phonebench.runner.desktop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ServiceLoader;
import org.phonebench.runner.core.Affinity;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.JobRunner;
import org.phonebench.runner.core.LibraryPages;
import org.phonebench.runner.core.LinuxState;
import org.phonebench.runner.core.ReplyWriter;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RuntimeAdapter;

/**
 * The runner on the JVM of a computer: the same core and adapters as in the app, without Android.
 *
 * <p>The exit code is 0 whenever a reply was written, even one that reports a failure.
 */
public final class DesktopRunner {
    private static final int USAGE = 2;

    private DesktopRunner() {}

    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    static int run(String[] arguments) {
        Arguments options;
        try {
            options = Arguments.read(arguments);
        } catch (IllegalArgumentException error) {
            System.err.println(error.getMessage());
            System.err.println(Arguments.USAGE);
            return USAGE;
        }
        Path folder = options.files().resolve("jobs").resolve(options.job());
        try {
            Files.createDirectories(folder);
            Path request = options.request() == null ? folder.resolve(JobPlace.REQUEST) : options.request();
            JobPlace place = new JobPlace(folder, request, options.store(), options.inputs());
            JobRunner runner = new JobRunner(ServiceLoader.load(RuntimeAdapter.class),
                new RunReply.Runner(options.kind(), options.version(), false, pages(options)),
                new LinuxState(Paths.get("/")));
            ReplyWriter.write(folder, runner.run(place, () -> {
                if (options.mask() != null) {
                    Affinity.bind(options.mask(), "taskset");
                }
            }));
            return 0;
        } catch (IOException error) {
            System.err.println("cannot write the reply to " + folder + ": " + error);
            return 1;
        }
    }

    private static Long pages(Arguments options) {
        return options.apk() == null ? null : LibraryPages.of(options.apk(), options.abis());
    }
}
