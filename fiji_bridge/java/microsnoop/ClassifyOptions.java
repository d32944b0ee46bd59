package microsnoop;

import java.io.File;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How to measure objects, from what to learn their classes, and where to show them. */
final class ClassifyOptions {
    static final List<String> SOURCES =
            Arrays.asList(Options.ROI_MANAGER, Options.OVERLAY, Options.SELECTION, Options.LABEL_IMAGE);
    static final String ENDING = ".safetensors";
    private static final String[] KEYS = {
        "objects", "labels", "channels", "mode", "rescale_constant", "diameter", "slices", "model", "save", "overlay",
        "set_groups", "table", "clear", "csv", "append", "name"
    };
    private static final List<String> FLAGS = Arrays.asList("overlay", "set_groups", "clear", "append");

    Options measure = new Options();
    /** A saved classifier; blank: one is learned from the groups. */
    String model = "";
    /** Where the classifier that is learned is saved; blank: nowhere. */
    String save = "";
    boolean overlay;
    /** Gives outlines without group the group of their class. */
    boolean setGroups;

    static ClassifyOptions parse(String text) throws Problem {
        Map<String, String> given = Options.words(text, KEYS, FLAGS);
        ClassifyOptions options = new ClassifyOptions();
        // of the measurement it would be the overlay of clusters
        options.overlay = given.keySet().remove("overlay");
        options.measure = Options.of(given);
        options.model = given.getOrDefault("model", "").trim();
        options.save = given.getOrDefault("save", "").trim();
        options.setGroups = given.containsKey("set_groups");
        options.check();
        return options;
    }

    void check() throws Problem {
        if (measure.whole()) {
            throw new Problem("Whole images have no outlines with groups: give one of " + String.join(", ", SOURCES)
                    + " as objects.");
        }
        if (!model.isEmpty() && !save.isEmpty()) {
            throw new Problem("A saved classifier (" + new File(model).getName() + ") is applied, so none is learned that could "
                    + "be saved: leave one of the two files out.");
        }
        if (!save.isEmpty() && !save.toLowerCase(Locale.ROOT).endsWith(ENDING)) {
            throw new Problem("The file \"" + save + "\" of the classifier must end in " + ENDING + ": add the ending.");
        }
        if (setGroups && measure.objects.equals(Options.LABEL_IMAGE)) {
            throw new Problem("Objects of a label image have no groups to set: read their classes in the table, or measure "
                    + "outlines.");
        }
    }

    /** The options that differ from the defaults, and those that should be seen, for a macro. */
    Map<String, String> recorded() {
        Map<String, String> words = new LinkedHashMap<>(measure.recorded());
        if (!model.isEmpty()) {
            words.put("model", model);
        }
        if (!save.isEmpty()) {
            words.put("save", save);
        }
        if (overlay) {
            words.put("overlay", null);
        }
        if (setGroups) {
            words.put("set_groups", null);
        }
        return words;
    }
}
