package org.phonebench.runner;

import android.content.Context;
import java.nio.file.Path;

/** Where jobs are stored inside the app, and which names they may have. */
final class Jobs {
    private Jobs() {}

    static Path folder(Context context, String job) {
        return context.getFilesDir().toPath().resolve("jobs").resolve(job);
    }

    /** Whether a name cannot lead out of its folder. */
    static boolean isPlain(String name) {
        return name.matches("[A-Za-z0-9_-]+");
    }
}
