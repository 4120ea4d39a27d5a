package org.phonebench.runner.onnxruntime;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.Collections;
import java.util.function.Consumer;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;

/**
 * ONNX Runtime's provider for Qualcomm's neural processor. Neither the released library of ONNX Runtime nor this app
 * has it: whoever builds the app gives the library with the provider, and Qualcomm's own libraries.
 */
final class Qnn {
    static final String TO_BUILD = "; build the app with it: phonebench runner build android --runtime onnxruntime "
        + "--library onnxruntime-android-qnn.aar --npu-libraries DIR, where phonebench npu --libraries made DIR";

    /** The libraries of Qualcomm that run here; the processor loads the one that fits it by itself. */
    private static final String[] LIBRARIES = {"QnnSystem", "QnnHtp"};

    private Qnn() {}

    /** Fail unless {@code load}, which takes a library's name without prefix and suffix, can load Qualcomm's. */
    static void requireLibraries(Consumer<String> load) throws RunFailure {
        for (String library : LIBRARIES) {
            try {
                load.accept(library);
            } catch (LinkageError error) {
                throw RunFailure.unsupported(FailureKind.DELEGATE, "the delegate qnn cannot load Qualcomm's lib"
                    + library + ".so on this device (" + RunFailure.firstLine(error) + ")" + TO_BUILD, error);
            }
        }
    }

    /** Add the provider, and nothing to fall back to: a figure of the cores must not pass for one of the processor. */
    static void add(OrtSession.SessionOptions options) throws OrtException {
        options.addConfigEntry("session.disable_cpu_ep_fallback", "1");
        options.addQnn(Collections.singletonMap("backend_path", "libQnnHtp.so"));
    }

    /** The failure of a file that the provider does not take whole, or not at all. */
    static RunFailure loadFailure(String file, OrtException error) {
        if (!String.valueOf(error.getMessage()).contains("fallback to CPU EP has been explicitly disabled")) {
            return RunFailure.load(OnnxAdapter.NAME, file, error);
        }
        return RunFailure.unsupported(FailureKind.DELEGATE, "the delegate qnn does not take every node of '" + file
            + "', or not on this phone's chip; phonebench does not let the others run on the processor's cores", error);
    }
}
