package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** The examples of the wire contract, which the tests of every runner read. */
final class Golden {
    static final Path FOLDER = Paths.get("../../tests/golden/wire");

    private Golden() {}

    static String text(String name) throws IOException {
        return new String(Files.readAllBytes(FOLDER.resolve(name)), StandardCharsets.UTF_8);
    }

    static JSONObject json(String name) throws IOException, JSONException {
        return new JSONObject(text(name));
    }

    /** A JSON value as maps, lists and plain values, which have a useful {@code equals}. */
    static Object plain(Object value) throws JSONException {
        if (value instanceof JSONObject object) {
            Map<String, Object> map = new TreeMap<>();
            for (Iterator<?> keys = object.keys(); keys.hasNext();) {
                String key = (String) keys.next();
                map.put(key, plain(object.get(key)));
            }
            return map;
        }
        if (value instanceof JSONArray array) {
            List<Object> list = new ArrayList<>();
            for (int at = 0; at < array.length(); at++) {
                list.add(plain(array.get(at)));
            }
            return list;
        }
        return value instanceof Number number ? number.doubleValue() : value;
    }
}
