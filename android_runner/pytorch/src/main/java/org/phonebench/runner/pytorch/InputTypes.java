package org.phonebench.runner.pytorch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.json.JSONArray;
import org.json.JSONException;
import org.phonebench.runner.core.DType;

/** The element types of a file's inputs, which our exporter stores in the archive as a JSON list. */
final class InputTypes {
    private static final String ENTRY = "/extra/input_types.json";

    private InputTypes() {}

    /** The types; an empty list for a file from another tool. */
    static List<DType> read(Path file) throws IOException {
        try (ZipFile archive = new ZipFile(file.toFile())) {
            for (ZipEntry entry : Collections.list(archive.entries())) {
                if (entry.getName().endsWith(ENTRY)) {
                    try (InputStream in = archive.getInputStream(entry)) {
                        return parse(text(in));
                    }
                }
            }
        }
        return Collections.emptyList();
    }

    private static List<DType> parse(String text) throws IOException {
        List<DType> types = new ArrayList<>();
        try {
            JSONArray names = new JSONArray(text);
            for (int at = 0; at < names.length(); at++) {
                types.add(DType.valueOf(names.getString(at).toUpperCase(Locale.ROOT)));
            }
        } catch (JSONException | IllegalArgumentException error) {
            throw new IOException("the list of its input types is damaged: " + text, error);
        }
        return types;
    }

    private static String text(InputStream in) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[4096];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            out.write(buffer, 0, read);
        }
        return new String(out.toByteArray(), StandardCharsets.UTF_8);
    }
}
