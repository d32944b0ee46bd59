package microsnoop;

import java.awt.GraphicsEnvironment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The options of a measurement, read from those of a macro call and written as such. */
final class Options {
    static final String ROI_MANAGER = "ROI Manager";
    static final String OVERLAY = "Overlay";
    static final String SELECTION = "Active selection";
    static final String LABEL_IMAGE = "Label image";
    static final String WHOLE_IMAGE = "Whole image";
    static final List<String> SOURCES = Arrays.asList(ROI_MANAGER, OVERLAY, SELECTION, LABEL_IMAGE, WHOLE_IMAGE);

    static final String BOX = "box";
    static final String MASKED = "masked object";
    static final String TILE = "tile";
    static final String RESCALE = "rescale";

    static final String[] KEYS = {
        "objects", "labels", "channels", "mode", "rescale_constant", "diameter", "slices", "table", "clear", "csv", "append", "name",
        "cluster", "overlay"
    };
    /** A table of our own: the places of columns in "Results" are those of ImageJ's measurements. */
    static final String TABLE = "Microsnoop Results";
    private static final List<String> FLAGS = Arrays.asList("clear", "append", "overlay");

    /** Without windows there is no ROI Manager. */
    String objects = GraphicsEnvironment.isHeadless() ? OVERLAY : ROI_MANAGER;
    /** Title of the label image; blank: the only other image of the same size. */
    String labels = "";
    /** Blank: all, of which there may be as many as microscopes have. */
    String channels = "all";
    String mode = BOX;
    double rescaleConstant = 2.0;
    /** Longer side of a typical object in pixels; 0: every box is scaled to fill the network's view. */
    double diameter;
    boolean allSlices;
    String table = TABLE;
    boolean clear;
    /** A .csv or .parquet file; blank: none. */
    String csv = "";
    boolean append;
    /** Begins the columns of the file, as in Nuclei_Microsnoop_E000_DNA. */
    String name = "Objects";
    /** Number of clusters; 0: none. */
    int cluster;
    boolean overlay;

    boolean whole() {
        return objects.equals(WHOLE_IMAGE);
    }

    static Options parse(String text) throws Problem {
        return of(words(text, KEYS, FLAGS));
    }

    /** Reads words that belong to these options; others are the caller's. */
    static Options of(Map<String, String> given) throws Problem {
        Options options = new Options();
        options.objects = choice("objects", given.get("objects"), options.objects, SOURCES);
        options.labels = given.getOrDefault("labels", "");
        options.channels = given.getOrDefault("channels", "").trim();
        List<String> modes = options.whole() ? Arrays.asList(TILE, RESCALE) : Arrays.asList(BOX, MASKED);
        options.mode = choice("mode", given.get("mode"), modes.get(0), modes);
        options.rescaleConstant = number("rescale_constant", given.getOrDefault("rescale_constant", "2"), 0.1, 20);
        options.diameter = number("diameter", given.getOrDefault("diameter", "0"), 0, 10000);
        options.allSlices =
                choice("slices", given.get("slices"), "current", Arrays.asList("current", "all")).equals("all");
        options.table = given.getOrDefault("table", TABLE);
        options.clear = given.containsKey("clear");
        options.csv = given.getOrDefault("csv", "").trim();
        options.append = given.containsKey("append");
        options.name = given.getOrDefault("name", "Objects").trim();
        options.cluster = (int) number("cluster", given.getOrDefault("cluster", "0"), 0, 100);
        options.overlay = given.containsKey("overlay");
        options.check();
        return options;
    }

    void check() throws Problem {
        if (!csv.isEmpty() && !csv.toLowerCase(Locale.ROOT).matches(".*\\.(csv|parquet)")) {
            throw new Problem("The file \"" + csv + "\" must end in .csv or .parquet: add the ending.");
        }
        if (!name.matches("[A-Za-z]\\w*") || name.equals("Image")) {
            throw new Problem("name is \"" + name + "\": give one word such as Nuclei or Cells.");
        }
        if (table.trim().isEmpty()) {
            throw new Problem("The table has no name: give one, for example \"" + TABLE + "\".");
        }
        if (cluster == 1) {
            throw new Problem("One cluster is none: give cluster=2 or more, or cluster=0 for no clusters.");
        }
        if (overlay && cluster == 0) {
            throw new Problem("An overlay is colored by cluster: give their number too, for example cluster=3.");
        }
    }

    /** The options that differ from the defaults, and those that should be seen, for a macro. */
    Map<String, String> recorded() {
        Map<String, String> words = new LinkedHashMap<>();
        words.put("objects", objects);
        if (objects.equals(LABEL_IMAGE)) {
            words.put("labels", labels);
        }
        words.put("channels", channels);
        words.put("mode", mode);
        if (!whole()) {
            words.put("rescale_constant", text(rescaleConstant));
        }
        if (diameter > 0) {
            words.put("diameter", text(diameter));
        }
        if (allSlices) {
            words.put("slices", "all");
        }
        words.put("table", table);
        if (clear) {
            words.put("clear", null);
        }
        if (!csv.isEmpty()) {
            words.put("csv", csv);
        }
        if (append && !csv.isEmpty()) {
            words.put("append", null);
        }
        if (!name.equals("Objects")) {
            words.put("name", name);
        }
        if (cluster > 0) {
            words.put("cluster", Integer.toString(cluster));
        }
        if (overlay) {
            words.put("overlay", null);
        }
        return words;
    }

    static String text(double value) {
        return value == Math.rint(value) ? Integer.toString((int) value) : Double.toString(value);
    }

    /** Takes key=value, key=[value with spaces] and bare flags apart. */
    static Map<String, String> words(String text, String[] keys, List<String> flags) throws Problem {
        Map<String, String> found = new LinkedHashMap<>();
        int place = 0;
        while (true) {
            while (place < text.length() && Character.isWhitespace(text.charAt(place))) {
                place++;
            }
            if (place == text.length()) {
                return found;
            }
            int end = place;
            while (end < text.length() && text.charAt(end) != '=' && !Character.isWhitespace(text.charAt(end))) {
                end++;
            }
            String key = text.substring(place, end);
            String value = null;
            if (end < text.length() && text.charAt(end) == '=') {
                int start = end + 1;
                boolean bracketed = start < text.length() && text.charAt(start) == '[';
                end = bracketed ? closing(text, start) : start;
                while (!bracketed && end < text.length() && !Character.isWhitespace(text.charAt(end))) {
                    end++;
                }
                value = text.substring(bracketed ? start + 1 : start, end);
                end = Math.min(text.length(), bracketed ? end + 1 : end);
            }
            if (!Arrays.asList(keys).contains(key)) {
                throw new Problem("There is no option \"" + key + "\"; there are " + String.join(", ", keys)
                        + ". Values with spaces need brackets: objects=[ROI Manager].");
            }
            if (flags.contains(key) == (value != null)) {
                throw new Problem(flags.contains(key) ? "The option \"" + key + "\" is written alone, without \"=\"."
                        : "The option \"" + key + "\" needs a value: " + key + "=...");
            }
            found.put(key, value);
            place = end;
        }
    }

    /** The bracket that ends a value: the partner of the first one, before a space or the end, since titles hold brackets. */
    private static int closing(String text, int start) throws Problem {
        int depth = 0;
        int unpaired = -1;
        for (int i = start; i < text.length(); i++) {
            if (text.charAt(i) == '[') {
                depth++;
            } else if (text.charAt(i) == ']') {
                depth--;
                boolean ends = i + 1 == text.length() || Character.isWhitespace(text.charAt(i + 1));
                if (ends && depth == 0) {
                    return i;
                }
                unpaired = ends && unpaired < 0 ? i : unpaired;
            }
        }
        if (unpaired < 0) {
            throw new Problem("A bracket is not closed: " + text.substring(start));
        }
        return unpaired;
    }

    static String choice(String key, String value, String otherwise, List<String> choices) throws Problem {
        if (value == null) {
            return otherwise;
        }
        for (String choice : choices) {
            if (choice.equalsIgnoreCase(value.trim())) {
                return choice;
            }
        }
        throw new Problem(key + " is \"" + value + "\": give one of " + String.join(", ", choices) + ".");
    }

    private static double number(String key, String value, double low, double high) throws Problem {
        try {
            double number = Double.parseDouble(value.trim());
            if (number >= low && number <= high) {
                return number;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new Problem(key + " is \"" + value + "\": give a number from " + text(low) + " to " + text(high) + ".");
    }
}
