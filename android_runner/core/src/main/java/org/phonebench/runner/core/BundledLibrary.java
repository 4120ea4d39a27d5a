package org.phonebench.runner.core;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** The runtime library that this app was built with, for runtimes that do not report their version to Java. */
public final class BundledLibrary {
    private static final String RESOURCE = "/META-INF/phonebench/library";

    private BundledLibrary() {}

    /** Its name and version as recorded by the build; {@code unknown} outside an app. */
    public static String title() {
        try (InputStream in = BundledLibrary.class.getResourceAsStream(RESOURCE)) {
            return in == null ? "unknown" : firstLine(in);
        } catch (IOException damaged) {
            return "unknown";
        }
    }

    private static String firstLine(InputStream in) throws IOException {
        String line = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8)).readLine();
        return line == null || line.isEmpty() ? "unknown" : line;
    }
}
