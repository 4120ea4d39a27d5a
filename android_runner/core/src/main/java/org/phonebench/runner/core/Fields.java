package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A JSON object with strictly typed fields. The getters of org.json would convert: "3" and 3.7 would both become 3.
 *
 * <p>Errors name a field by its path from the root.
 */
final class Fields {
    private final JSONObject object;
    private final String path;

    Fields(JSONObject object, String path) {
        this.object = object;
        this.path = path;
    }

    /** Whether a field is absent or null. */
    boolean lacks(String key) {
        return object.isNull(key);
    }

    String text(String key) throws RequestException {
        if (object.opt(key) instanceof String text) {
            return text;
        }
        throw wrong(key, "text");
    }

    long integer(String key) throws RequestException {
        return whole(object.opt(key), key);
    }

    long integer(String key, long otherwise) throws RequestException {
        return object.has(key) ? integer(key) : otherwise;
    }

    /** A count: an integer of at least {@code least} that fits in an {@code int}. */
    int count(String key, int least) throws RequestException {
        long value = integer(key);
        if (value < least || value > Integer.MAX_VALUE) {
            throw wrong(key, "an integer of at least " + least);
        }
        return (int) value;
    }

    /** A time in nanoseconds. */
    long duration(String key, long otherwise) throws RequestException {
        long value = integer(key, otherwise);
        if (value < 0) {
            throw wrong(key, "a time of at least 0 ns");
        }
        return value;
    }

    /** A required time in nanoseconds. */
    long duration(String key) throws RequestException {
        integer(key);
        return duration(key, 0);
    }

    Fields object(String key) throws RequestException {
        if (object.opt(key) instanceof JSONObject inner) {
            return new Fields(inner, path + key + ".");
        }
        throw wrong(key, "an object");
    }

    List<Fields> objects(String key) throws RequestException {
        JSONArray array = array(key);
        List<Fields> list = new ArrayList<>();
        for (int at = 0; at < array.length(); at++) {
            if (!(array.opt(at) instanceof JSONObject inner)) {
                throw wrong(key, "a list of objects");
            }
            list.add(new Fields(inner, path + key + "[" + at + "]."));
        }
        return list;
    }

    List<Integer> sizes(String key) throws RequestException {
        JSONArray array = array(key);
        List<Integer> list = new ArrayList<>();
        for (int at = 0; at < array.length(); at++) {
            long size = whole(array.opt(at), key);
            if (size < 0 || size > Integer.MAX_VALUE) {
                throw wrong(key, "a list of sizes from 0 to " + Integer.MAX_VALUE);
            }
            list.add((int) size);
        }
        return list;
    }

    Map<String, String> texts(String key) throws RequestException {
        if (!object.has(key)) {
            return Collections.emptyMap();
        }
        if (!(object.opt(key) instanceof JSONObject inner)) {
            throw wrong(key, "an object of texts");
        }
        Map<String, String> map = new LinkedHashMap<>();
        // The keys are typed on Android and untyped in the library for the JVM.
        for (Iterator<?> names = inner.keys(); names.hasNext();) {
            String name = (String) names.next();
            if (!(inner.opt(name) instanceof String text)) {
                throw wrong(key + "." + name, "text");
            }
            map.put(name, text);
        }
        return map;
    }

    RequestException wrong(String key, String expected) {
        Object value = object.opt(key);
        String problem = value == null ? "is missing" : "is " + value;
        return new RequestException(path + key + " " + problem + "; it must be " + expected);
    }

    private JSONArray array(String key) throws RequestException {
        if (object.opt(key) instanceof JSONArray array) {
            return array;
        }
        throw wrong(key, "a list");
    }

    private long whole(Object value, String key) throws RequestException {
        if (value instanceof Integer || value instanceof Long) {
            return ((Number) value).longValue();
        }
        throw wrong(key, "an integer");
    }

    /** Parse an object from text. */
    static Fields parse(String text) throws RequestException {
        try {
            return new Fields(new JSONObject(text), "");
        } catch (JSONException error) {
            throw new RequestException("invalid JSON: " + error.getMessage());
        }
    }
}
