package org.phonebench.runner.core;

/**
 * A model that cannot be loaded or run: a kind, a sentence for people that says what to do next, and the evidence.
 *
 * <p>{@code unsupported} says that this build of the runtime, or this device, cannot do what was asked, which is a
 * result and no fault.
 */
public final class RunFailure extends Exception {
    /** What most often is the matter with a file that ran on the computer. */
    private static final String NEWER = "; if newer tools made the file than this app has, build the app with a newer"
        + " library (phonebench runner build android --library FILE), or make the file for the older one";

    private static final long serialVersionUID = 1L;

    private final FailureKind kind;
    private final String detail;
    private final boolean unsupported;

    private RunFailure(FailureKind kind, String message, Throwable cause, boolean unsupported) {
        super(message, cause);
        this.kind = kind;
        this.detail = cause == null ? "" : cause.toString();
        this.unsupported = unsupported;
    }

    public static RunFailure failed(FailureKind kind, String message) {
        return new RunFailure(kind, message, null, false);
    }

    public static RunFailure failed(FailureKind kind, String message, Throwable cause) {
        return new RunFailure(kind, message, cause, false);
    }

    public static RunFailure unsupported(FailureKind kind, String message) {
        return new RunFailure(kind, message, null, true);
    }

    public static RunFailure unsupported(FailureKind kind, String message, Throwable cause) {
        return new RunFailure(kind, message, cause, true);
    }

    /** What a device says that cannot load the native library of {@code runtime}. */
    public static RunFailure library(String runtime, LinkageError cause) {
        String message = "the library of " + runtime + " does not load here: " + firstLine(cause);
        return unsupported(FailureKind.LOAD, message, cause);
    }

    /** The failure of an artifact that its runtime does not take. */
    public static RunFailure load(String runtime, String file, Throwable cause) {
        String message = runtime + " cannot load '" + file + "': " + firstLine(cause);
        FailureKind kind = kindOf(cause, FailureKind.LOAD);
        return failed(kind, kind == FailureKind.LOAD ? message + NEWER : message, cause);
    }

    /** The failure of a call. */
    public static RunFailure call(String runtime, Throwable cause) {
        return failed(kindOf(cause, FailureKind.RUN), runtime + " failed in a call: " + firstLine(cause), cause);
    }

    public FailureKind kind() {
        return kind;
    }

    public String detail() {
        return detail;
    }

    public boolean unsupported() {
        return unsupported;
    }

    /** The first line of what an exception says, or its class where it says nothing. */
    public static String firstLine(Throwable cause) {
        String text = cause.getMessage() == null ? "" : cause.getMessage().trim();
        String line = text.isEmpty() ? cause.getClass().getSimpleName() : text.split("\n", 2)[0];
        // Native code says where first, and at the end what.
        return line.length() > 300 ? line.substring(0, 100) + " … " + line.substring(line.length() - 200) : line;
    }

    private static FailureKind kindOf(Throwable cause, FailureKind otherwise) {
        String text = String.valueOf(cause.getMessage());
        boolean memory = text.contains("bad_alloc") || text.contains("Cannot allocate memory");
        return memory ? FailureKind.OOM : otherwise;
    }
}
