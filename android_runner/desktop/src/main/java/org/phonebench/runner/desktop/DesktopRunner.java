package org.phonebench.runner.desktop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.GeneralSecurityException;
import java.util.ServiceLoader;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.phonebench.runner.core.Affinity;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.JobRunner;
import org.phonebench.runner.core.LibraryPages;
import org.phonebench.runner.core.LinuxState;
import org.phonebench.runner.core.PlainFiles;
import org.phonebench.runner.core.ReplyWriter;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RuntimeAdapter;
import org.phonebench.runner.core.TrustedKey;

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
        Path jobs = options.files().resolve("jobs");
        Path folder = jobs.resolve(options.job());
        try {
            PlainFiles.clear(jobs);
            Files.createDirectories(folder);
            Path request = options.request() == null ? folder.resolve(JobPlace.REQUEST) : options.request();
            JobPlace place = new JobPlace(folder, request, options.store(), options.inputs());
            JobRunner runner = new JobRunner(ServiceLoader.load(RuntimeAdapter.class),
                new RunReply.Runner(options.kind(), options.version(), false, pages(options)),
                new LinuxState(Paths.get("/")), key(options), new FileKeystore(options.files()));
            ReplyWriter.write(folder, runner.run(place, () -> {
                if (options.mask() != null) {
                    Affinity.bind(options.mask(), "taskset");
                }
            }));
            return 0;
        } catch (GeneralSecurityException error) {
            System.err.println("cannot read the public key: " + error.getMessage());
            return USAGE;
        } catch (IOException error) {
            System.err.println("cannot write the reply to " + folder + ": " + error);
            return 1;
        }
    }

    /** The public key that is given, or that is in the APK; null if there is none. */
    private static TrustedKey key(Arguments options) throws IOException, GeneralSecurityException {
        if (options.key() != null) {
            return TrustedKey.read(new String(Files.readAllBytes(options.key()), StandardCharsets.US_ASCII));
        }
        if (options.apk() == null) {
            return null;
        }
        try (ZipFile apk = new ZipFile(options.apk().toFile())) {
            ZipEntry entry = apk.getEntry(TrustedKey.RESOURCE.substring(1));
            return entry == null ? null
                : TrustedKey.read(new String(apk.getInputStream(entry).readAllBytes(), StandardCharsets.US_ASCII));
        }
    }

    private static Long pages(Arguments options) {
        return options.apk() == null ? null : LibraryPages.of(options.apk(), options.abis());
    }
}
