package org.phonebench.runner.core;

/**
 * A model that cannot be loaded or run: a kind, a message for people that says what to do next, and the evidence.
 *
 * <p>{@code unsupported} means that this build of the runtime, or this device, cannot do what was asked. That is a
 * result, not a failure.
 */
public final class RunFailure extends Exception {
    /** The most common cause, since every file has already run on the computer. */
    private static final String NEWER = "; if the file was made with newer tools than this app has, build the app with"
        + " a newer library (phonebench runner build android --library FILE) or make the file with older tools";

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

    /** The failure of a device that cannot load the native library of {@code runtime}. */
    public static RunFailure library(String runtime, LinkageError cause) {
        String message = "the library of " + runtime + " cannot be loaded on this device: " + firstLine(cause);
        return unsupported(FailureKind.LOAD, message, cause);
    }

    /** The failure of an artifact that its runtime cannot load. */
    public static RunFailure load(String runtime, String file, Throwable cause) {
        String message = runtime + " cannot load '" + file + "': " + firstLine(cause);
        FailureKind kind = kindOf(cause, FailureKind.LOAD);
        return failed(kind, kind == FailureKind.LOAD ? message + NEWER : message, cause);
    }

    /** The failure of a call. */
    public static RunFailure call(String runtime, Throwable cause) {
        return failed(kindOf(cause, FailureKind.RUN), runtime + " failed during a call: " + firstLine(cause), cause);
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

    /** The first line of an exception's message, or its class if it has no message. */
    public static String firstLine(Throwable cause) {
        String text = cause.getMessage() == null ? "" : cause.getMessage().trim();
        String line = text.isEmpty() ? cause.getClass().getSimpleName() : text.split("\n", 2)[0];
        // Messages of native code begin with the place and end with the cause; shorten the middle.
        return line.length() > 300 ? line.substring(0, 100) + " … " + line.substring(line.length() - 200) : line;
    }

    private static FailureKind kindOf(Throwable cause, FailureKind otherwise) {
        String text = String.valueOf(cause.getMessage());
        boolean memory = text.contains("bad_alloc") || text.contains("Cannot allocate memory");
        return memory ? FailureKind.OOM : otherwise;
    }
}
