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

    /** Delete what launches that crashed have left in the jobs of a folder. No launch may be running. */
    public static void clear(Path jobs) throws IOException {
        try (DirectoryStream<Path> all = Files.newDirectoryStream(jobs)) {
            for (Path job : all) {
                new PlainFiles(job).delete();
            }
        } catch (NoSuchFileException none) {
            // Before the first job there is no folder of jobs.
        }
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

    /** Delete all files and the folder. */
    void delete() throws IOException {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
