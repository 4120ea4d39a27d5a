package org.phonebench.runner;

import android.content.Context;
import java.nio.file.Path;

/** Where the jobs are inside the app, and what may be a name in them. */
final class Jobs {
    private Jobs() {}

    static Path folder(Context context, String job) {
        return context.getFilesDir().toPath().resolve("jobs").resolve(job);
    }

    /** A name that cannot lead out of its folder. */
    static boolean isPlain(String name) {
        return name.matches("[A-Za-z0-9_-]+");
    }
}
