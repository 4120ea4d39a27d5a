package org.phonebench.runner.core;

import java.io.IOException;
import java.io.Writer;
import org.json.JSONObject;

/**
 * Writes JSON field by field, without turning a million samples into a million objects.
 *
 * <p>NaN and infinity become null, because JSON cannot express them.
 */
final class JsonText {
    private final Writer out;
    private boolean first = true;

    JsonText(Writer out) {
        this.out = out;
    }

    JsonText open(char bracket) throws IOException {
        out.write(bracket);
        first = true;
        return this;
    }

    JsonText close(char bracket) throws IOException {
        out.write(bracket);
        first = false;
        return this;
    }

    /** Write the name of the next field. Its value, or an opening bracket, must follow. */
    JsonText name(String name) throws IOException {
        next();
        out.write(JSONObject.quote(name));
        out.write(':');
        return this;
    }

    /** Begin the next item of a list. */
    JsonText next() throws IOException {
        if (!first) {
            out.write(',');
        }
        first = false;
        return this;
    }

    JsonText value(Object value) throws IOException {
        if (value instanceof String text) {
            out.write(JSONObject.quote(text));
        } else if (value instanceof Float || value instanceof Double) {
            double number = ((Number) value).doubleValue();
            out.write(Double.isFinite(number) ? value.toString() : "null");
        } else if (value == null || value instanceof Number || value instanceof Boolean) {
            out.write(String.valueOf(value));
        } else {
            throw new IllegalArgumentException("cannot write a " + value.getClass() + " as JSON");
        }
        return this;
    }

    JsonText field(String name, Object value) throws IOException {
        return name(name).value(value);
    }

    JsonText field(String name, long[] values) throws IOException {
        name(name).open('[');
        for (long value : values) {
            next();
            out.write(Long.toString(value));
        }
        return close(']');
    }
}
