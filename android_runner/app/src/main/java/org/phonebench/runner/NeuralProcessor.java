package org.phonebench.runner;

import android.content.Context;
import android.system.ErrnoException;
import android.system.Os;
import android.util.Log;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Lets Qualcomm's neural processor find the library in this app that runs on it. */
final class NeuralProcessor {
    /** Where the driver of the processor looks for code; the vendor's own folders stay in the list. */
    private static final String PATH = "ADSP_LIBRARY_PATH";
    private static final String VENDOR = ";/vendor/dsp/cdsp;/vendor/lib/rfsa/adsp;/vendor/dsp;/system/lib/rfsa/adsp";

    private NeuralProcessor() {}

    /** Name the folder of the app's libraries, if they were packed with Qualcomm's and so are files of their own. */
    static void prepare(Context context) {
        String name = context.getApplicationInfo().nativeLibraryDir;
        // An app without libraries may have no folder for them.
        if (name == null || !Files.exists(Paths.get(name, "libQnnHtp.so"))) {
            return;
        }
        try {
            Os.setenv(PATH, name + VENDOR, true);
        } catch (ErrnoException error) {
            // Without it the processor refuses the model, which becomes the reply.
            Log.w(RunnerActivity.TAG, "cannot set " + PATH, error);
        }
    }
}
