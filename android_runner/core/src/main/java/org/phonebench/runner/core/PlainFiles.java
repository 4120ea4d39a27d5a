package org.phonebench.runner.core;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;

/** The folder with the plain files of an encrypted artifact. It exists only while a runtime loads them. */
public final class PlainFiles {
    private static final String FOLDER = "plain";
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE_FOLDER =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE_FILE =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final Path folder;

    PlainFiles(Path job) {
        this.folder = job.resolve(FOLDER);
    }

    /**
     * Delete what crashed launches have left in the jobs of a folder. No launch may be running. If something cannot be
     * deleted, the other jobs are cleared all the same, and the first such error is thrown at the end.
     */
    public static void clear(Path jobs) throws IOException {
        IOException failure = null;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(jobs)) {
            for (Path job : all) {
                failure = deleting(new PlainFiles(job)::delete, failure);
            }
        } catch (NoSuchFileException none) {
            // Before the first job there is no folder of jobs.
        }
        throwIf(failure);
    }

    Path path(String file) {
        return folder.resolve(file);
    }

    /** Create a file that only this app can read. */
    OutputStream create(String file) throws IOException {
        if (!Files.isDirectory(folder)) {
            Files.createDirectory(folder, PRIVATE_FOLDER);
        }
        return Channels.newOutputStream(Files.newByteChannel(path(file),
            EnumSet.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), PRIVATE_FILE));
    }

    /** Delete all files and the folder. A file that cannot be deleted does not keep the others. */
    void delete() throws IOException {
        if (!Files.isDirectory(folder)) {
            return;
        }
        IOException failure = null;
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                failure = deleting(() -> Files.delete(file), failure);
            }
        }
        throwIf(failure);
        Files.delete(folder);
    }

    private interface Deletion {
        void run() throws IOException;
    }

    /** Run a deletion and return the first error so far, with later ones attached to it; null without one. */
    private static IOException deleting(Deletion deletion, IOException before) {
        try {
            deletion.run();
            return before;
        } catch (IOException error) {
            if (before == null) {
                return error;
            }
            before.addSuppressed(error);
            return before;
        }
    }

    private static void throwIf(IOException failure) throws IOException {
        if (failure != null) {
            throw failure;
        }
    }
}
