package org.phonebench.runner;

import android.content.Context;
import android.net.Uri;
import android.util.Log;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.phonebench.runner.core.JobPlace;
import org.phonebench.runner.core.LoopJob;
import org.phonebench.runner.core.LoopResult;
import org.phonebench.runner.core.RunReply;

/**
 * One launch of a game loop: its job, where the job's files are read, and where its result goes.
 *
 * @param source the files inside the app
 * @param result the file for the result, null if whoever started the app gives none
 */
record Loop(Context context, LoopJob.Source source, LoopJob job, Uri result) {
    /** Unpack the files and rest. Called in the thread that measures, because a large file takes seconds. */
    void prepare(JobPlace place) throws IOException, InterruptedException {
        job.unpack(source, place);
        Thread.sleep(job.restMs());
    }

    /** Write the result to the file that was given. What goes wrong is in the log: the result has another way out. */
    void hand(RunReply reply, Path folder) {
        if (result == null) {
            return;
        }
        try (OutputStream out = context.getContentResolver().openOutputStream(result, "w")) {
            if (out == null) {
                throw new IOException("it cannot be opened");
            }
            LoopResult.write(out, job, PhoneFacts.of(context), reply, folder);
        } catch (IOException | RuntimeException error) {
            Log.w(RunnerActivity.TAG, "cannot write the result to " + result, error);
        }
    }

    /** Write the result into a folder, whole or not at all. */
    void write(RunReply reply, Path folder, Path target) throws IOException {
        Path part = target.resolve(LoopResult.FILE + ".tmp");
        try (OutputStream out = Files.newOutputStream(part)) {
            LoopResult.write(out, job, PhoneFacts.of(context), reply, folder);
        }
        Files.move(part, target.resolve(LoopResult.FILE));
    }
}
