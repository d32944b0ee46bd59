package microsnoop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON text to maps, lists, strings, doubles and booleans, and back. */
final class Json {
    private final String text;
    private int place;

    private Json(String text) {
        this.text = text;
    }

    /** @throws IllegalArgumentException if the text is not JSON */
    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.skipSpace();
        if (json.place < text.length()) {
            throw json.bad();
        }
        return value;
    }

    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map) {
            char separator = '{';
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(separator);
                quote(entry.getKey().toString(), out);
                out.append(':');
                write(entry.getValue(), out);
                separator = ',';
            }
            out.append(separator == '{' ? "{}" : "}");
        } else if (value instanceof Iterable) {
            char separator = '[';
            for (Object item : (Iterable<?>) value) {
                out.append(separator);
                write(item, out);
                separator = ',';
            }
            out.append(separator == '[' ? "[]" : "]");
        } else if (value instanceof String) {
            quote((String) value, out);
        } else {
            out.append(value);
        }
    }

    private static void quote(String value, StringBuilder out) {
        out.append('"');
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    private Object value() {
        skipSpace();
        char c = peek();
        if (c == '{') {
            return object();
        }
        if (c == '[') {
            return array();
        }
        if (c == '"') {
            return string();
        }
        int start = place;
        while (place < text.length() && ",]} \t\r\n".indexOf(text.charAt(place)) < 0) {
            place++;
        }
        String word = text.substring(start, place);
        if (word.equals("true") || word.equals("false")) {
            return Boolean.valueOf(word);
        }
        if (word.equals("null")) {
            return null;
        }
        try {
            return word.equals("Infinity") || word.equals("-Infinity") ? Double.NaN : Double.parseDouble(word);
        } catch (NumberFormatException e) {
            throw bad();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        place++;
        while (next('}')) {
            skipSpace();
            String key = string();
            skipSpace();
            expect(':');
            map.put(key, value());
        }
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        place++;
        while (next(']')) {
            list.add(value());
        }
        return list;
    }

    /** Passes a comma, or the end (then false). */
    private boolean next(char end) {
        skipSpace();
        if (peek() == end) {
            place++;
            return false;
        }
        if (peek() == ',') {
            place++;
        }
        return true;
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (peek() != '"') {
            char c = text.charAt(place++);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char escaped = peek();
            place++;
            int at = "nrtbf".indexOf(escaped);
            if (escaped == 'u') {
                if (place + 4 > text.length()) {
                    throw bad();
                }
                out.append((char) Integer.parseInt(text.substring(place, place + 4), 16));
                place += 4;
            } else {
                out.append(at < 0 ? escaped : "\n\r\t\b\f".charAt(at));
            }
        }
        place++;
        return out.toString();
    }

    private void expect(char c) {
        if (peek() != c) {
            throw bad();
        }
        place++;
    }

    private char peek() {
        if (place >= text.length()) {
            throw bad();
        }
        return text.charAt(place);
    }

    private void skipSpace() {
        while (place < text.length() && text.charAt(place) <= ' ') {
            place++;
        }
    }

    private IllegalArgumentException bad() {
        return new IllegalArgumentException("not JSON at character " + place);
    }
}
