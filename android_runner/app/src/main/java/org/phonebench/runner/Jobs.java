package org.phonebench.runner;

import android.content.Context;
import android.util.Log;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.phonebench.runner.core.PlainFiles;

/** Where jobs are stored inside the app, and which names they may have. */
final class Jobs {
    static final String FOLDER = "jobs";

    private Jobs() {}

    static Path folder(Context context, String job) {
        return context.getFilesDir().toPath().resolve(FOLDER).resolve(job);
    }

    /**
     * Delete the plain models of launches that crashed. Only before a measurement begins: the process of the
     * provider may run next to one.
     */
    static void clearPlainFiles(Context context) {
        try {
            PlainFiles.clear(context.getFilesDir().toPath().resolve(FOLDER));
        } catch (IOException error) {
            Log.e(RunnerActivity.TAG, "cannot delete what a launch has left in the clear", error);
        }
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
