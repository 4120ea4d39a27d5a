package org.phonebench.runner;

import android.content.Intent;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.phonebench.runner.core.JobPlace;

/**
 * The extras that the host passes with {@code am start}.
 *
 * @param job the job's name
 * @param store the folder with artifacts and inputs named by their digests
 * @param inputs the digest of the inputs
 * @param request the file of the request; null for the one in the job's own folder
 * @param mask the cores to bind the process to, in hexadecimal; null for all
 * @param log whether to write the reply to the log too, for a host that could read it in no other way
 * @param loop the launch of a game loop, whose job is in the app itself; null for a launch by {@code am start}
 */
record Launch(String job, Path store, String inputs, Path request, String mask, boolean log, Loop loop) {
    /** Read the extras. Throws {@link IllegalArgumentException} naming what is missing or wrong. */
    static Launch of(Intent intent) {
        String job = text(intent, "job");
        if (!Jobs.isPlain(job)) {
            throw new IllegalArgumentException("the extra job is '" + job + "'; it must be a plain name");
        }
        String inputs = text(intent, "inputs");
        if (!inputs.matches("[0-9a-f]{64}")) {
            throw new IllegalArgumentException("the extra inputs is '" + inputs + "'; it must be a sha256");
        }
        String request = intent.getStringExtra("request");
        return new Launch(job, Paths.get(text(intent, "store")), inputs, request == null ? null : Paths.get(request),
            intent.getStringExtra("mask"), intent.getBooleanExtra("log", false), null);
    }

    /** The launch of a game loop. Its files are below {@code own}, the app's own folder, once they are unpacked. */
    static Launch of(Loop loop, Path own) {
        JobPlace place = loop.job().place(own);
        return new Launch(loop.job().name(), place.store(), place.inputsSha256(), null, null, false, loop);
    }

    private static String text(Intent intent, String name) {
        String value = intent.getStringExtra(name);
        if (value == null) {
            throw new IllegalArgumentException("the extra " + name + " is missing; add --es " + name);
        }
        return value;
    }
}
