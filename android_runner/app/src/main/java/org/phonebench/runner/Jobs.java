package org.phonebench.runner;

import android.content.Context;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Where jobs are stored inside the app, and which names they may have. */
final class Jobs {
    static final String FOLDER = "jobs";

    private Jobs() {}

    static Path folder(Context context, String job) {
        return context.getFilesDir().toPath().resolve(FOLDER).resolve(job);
    }

    /** Delete a folder with everything in it; returns the number of deleted files and folders. */
    static int delete(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return 0;
        }
        try (Stream<Path> below = Files.walk(folder)) {
            List<Path> all = below.sorted(Comparator.reverseOrder()).collect(Collectors.toList());
            for (Path one : all) {
                Files.delete(one);
            }
            return all.size();
        }
    }

    /** Whether a name cannot lead out of its folder. */
    static boolean isPlain(String name) {
        return name.matches("[A-Za-z0-9_-]+");
    }
}
