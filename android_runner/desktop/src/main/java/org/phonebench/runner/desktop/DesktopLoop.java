package org.phonebench.runner.desktop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.JobRunner;
import org.phonebench.runner.core.LinuxState;
import org.phonebench.runner.core.LoopJob;
import org.phonebench.runner.core.LoopResult;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RuntimeAdapter;

/**
 * One scenario of a game loop on the JVM of a computer: the job is read from the APK that carries it, as the app reads
 * it on a phone.
 *
 * <p>The exit code is 0 whenever a result was written, even one that reports a failure.
 */
public final class DesktopLoop {
    static final String USAGE = "usage: DesktopLoop APK SCENARIO FILES RESULT";

    private DesktopLoop() {}

    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    static int run(String[] arguments) {
        if (arguments.length != 4 || !arguments[1].matches("[0-9]{1,9}")) {
            System.err.println(USAGE);
            return 2;
        }
        Path result = Paths.get(arguments[3]);
        try (ZipFile apk = new ZipFile(arguments[0]); OutputStream out = Files.newOutputStream(result)) {
            LoopJob.Source source = path -> open(apk, "assets/" + path);
            LoopJob job = LoopJob.read(source, Integer.parseInt(arguments[1]));
            JobPlace place = job.place(Paths.get(arguments[2]));
            job.unpack(source, place);
            JobRunner runner = new JobRunner(ServiceLoader.load(RuntimeAdapter.class),
                new RunReply.Runner("android-app", "desktop", false, null), new LinuxState(Paths.get("/")), null, null);
            LoopResult.write(out, job, facts(), runner.run(place, () -> { }), place.folder());
            return 0;
        } catch (IOException error) {
            System.err.println("cannot run the launch: " + error);
            return 1;
        }
    }

    private static InputStream open(ZipFile apk, String name) throws IOException {
        ZipEntry entry = apk.getEntry(name);
        if (entry == null) {
            throw new FileNotFoundException(name);
        }
        return apk.getInputStream(entry);
    }

    private static Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("manufacturer", "phonebench");
        facts.put("model", "desktop");
        facts.put("soc", System.getProperty("os.arch"));
        facts.put("release", System.getProperty("os.version"));
        facts.put("api", "0");
        facts.put("abis", System.getProperty("os.arch"));
        facts.put("build", System.getProperty("os.name"));
        facts.put("cores", String.valueOf(Runtime.getRuntime().availableProcessors()));
        return facts;
    }
}
