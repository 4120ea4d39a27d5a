package org.phonebench.runner.desktop;

import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The command line of the desktop runner. With an APK, it reports that APK's libraries and trusts its key, as the app
 * in it would.
 */
record Arguments(Path files, String job, Path store, String inputs, Path request, String kind, String version,
        String mask, Path apk, List<String> abis, Path key) {
    static final String USAGE = "usage: DesktopRunner --files FOLDER --job NAME --store FOLDER --inputs SHA256"
        + " [--request FILE] [--kind KIND] [--version VERSION] [--mask HEX] [--apk FILE]"
        + " [--abis LIST] [--key FILE]";
    private static final String PREFIX = "--";

    static Arguments read(String[] arguments) {
        Map<String, String> values = new LinkedHashMap<>();
        for (int at = 0; at < arguments.length; at += 2) {
            if (!USAGE.contains(arguments[at] + " ") || !arguments[at].startsWith(PREFIX)) {
                throw new IllegalArgumentException("unknown argument '" + arguments[at] + "'");
            }
            if (at + 1 == arguments.length) {
                throw new IllegalArgumentException("'" + arguments[at] + "' has no value");
            }
            values.put(arguments[at].substring(PREFIX.length()), arguments[at + 1]);
        }
        String job = required(values, "job");
        if (!job.matches("[A-Za-z0-9_-]+")) {
            throw new IllegalArgumentException("the job is '" + job + "'; it must be a plain name");
        }
        String inputs = required(values, "inputs");
        if (!inputs.matches("[0-9a-f]{64}")) {
            throw new IllegalArgumentException("the inputs are '" + inputs + "'; give their sha256");
        }
        return new Arguments(Paths.get(required(values, "files")), job, Paths.get(required(values, "store")), inputs,
            path(values.get("request")), values.getOrDefault("kind", "desktop"),
            values.getOrDefault("version", built()), values.get("mask"), path(values.get("apk")),
            Arrays.asList(values.getOrDefault("abis", "").split(",")), path(values.get("key")));
    }

    private static Path path(String text) {
        return text == null ? null : Paths.get(text);
    }

    private static String required(Map<String, String> values, String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("'" + PREFIX + name + "' is missing");
        }
        return value;
    }

    private static String built() {
        String version = Arguments.class.getPackage().getImplementationVersion();
        return version == null ? "unbuilt" : version;
    }
}
