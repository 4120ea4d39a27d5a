package org.phonebench.runner;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.database.Cursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Gives the host access to requests and replies: {@code content://<app id>.jobs/<job>/<file>}.
 *
 * <p>The manifest opens it only to holders of {@code android.permission.DUMP}. The adb shell has that permission and
 * other apps do not, so the host can reach the files of an app that is not debuggable.
 */
public final class JobProvider extends ContentProvider {
    private static final List<String> READABLE =
        Collections.unmodifiableList(Arrays.asList("request.json", "reply.json", "outputs.bin"));
    private static final String WRITABLE = "request.json";

    @Override
    public boolean onCreate() {
        return true;
    }

    /** Open a file of a job: the request for writing, and the files that the host needs for reading. */
    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        List<String> path = uri.getPathSegments();
        if (path.size() != 2 || !Jobs.isPlain(path.get(0)) || !READABLE.contains(path.get(1))) {
            throw new FileNotFoundException("No such file: " + uri);
        }
        int access = ParcelFileDescriptor.parseMode(mode);
        boolean writes = access != ParcelFileDescriptor.MODE_READ_ONLY;
        if (writes && !path.get(1).equals(WRITABLE)) {
            throw new FileNotFoundException("only " + WRITABLE + " can be written, not " + uri);
        }
        Path folder = Jobs.folder(getContext(), path.get(0));
        File file = folder.resolve(path.get(1)).toFile();
        if (writes) {
            create(folder);
        } else if (!file.isFile()) {
            throw new FileNotFoundException("No such file or directory: " + uri);
        }
        return ParcelFileDescriptor.open(file, access);
    }

    /** Delete a job with all its files; returns the number of deleted files and folders. */
    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        List<String> path = uri.getPathSegments();
        if (path.size() != 1 || !Jobs.isPlain(path.get(0))) {
            throw new IllegalArgumentException("cannot delete " + uri + ": name one job");
        }
        try {
            return Jobs.delete(Jobs.folder(getContext(), path.get(0)));
        } catch (IOException error) {
            throw new IllegalStateException("cannot delete " + uri + ": " + error.getMessage(), error);
        }
    }

    @Override
    public String getType(Uri uri) {
        return "application/octet-stream";
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        throw new UnsupportedOperationException("jobs are files: use content read");
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException("jobs are files: use content write");
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException("jobs are files: use content write");
    }

    private static void create(Path folder) throws FileNotFoundException {
        try {
            Files.createDirectories(folder);
        } catch (IOException error) {
            throw (FileNotFoundException) new FileNotFoundException("cannot create the job: " + error).initCause(error);
        }
    }
}
