package microsnoop;

import ij.IJ;
import ij.gui.Roi;
import java.awt.Color;
import java.io.File;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The groups of ROIs as classes: their names, numbers and colors. */
final class Groups {
    /** Property of outlines whose group this plugin has set to this number: they are no examples while they have it. */
    static final String FOUND = "microsnoop_group";
    private static final int LAST = 255;

    private final Map<String, Integer> numbers = new LinkedHashMap<>();

    /** Classes that no group is called after get the first groups that are free. */
    Groups(List<String> classes) {
        for (int group = LAST; group > 0; group--) {
            if (classes.contains(name(group))) {
                numbers.put(name(group), group);
            }
        }
        int free = 1;
        for (String name : classes) {
            if (!numbers.containsKey(name)) {
                while (free < LAST && (numbers.containsValue(free) || Roi.getGroupName(free) != null)) {
                    free++;
                }
                numbers.put(name, free);
            }
        }
    }

    /** The name that the user gave a group, else its number. */
    static String name(int group) {
        String name = Roi.getGroupName(group);
        return name == null || name.trim().isEmpty() ? Integer.toString(group) : name.trim();
    }

    /** The group of an outline that the user gave it; 0: none, or the one that this plugin has set. */
    static int example(Roi roi) {
        return Integer.toString(roi.getGroup()).equals(roi.getProperty(FOUND)) ? 0 : roi.getGroup();
    }

    /** The color in which ImageJ draws the group of a class; that of a cluster where ImageJ has no colors of groups. */
    Color color(String name) {
        int group = name == null ? 0 : numbers.get(name);
        String luts = IJ.getDirectory("luts");
        boolean colored = luts != null && (new File(luts, "Glasbey.lut").exists() || new File(luts, "glasbey.lut").exists());
        if (group == 0 || !colored) {
            return ColoredOverlay.color(group);
        }
        Roi roi = new Roi(0, 0, 1, 1);
        roi.setGroup(group);
        return roi.getStrokeColor();
    }

    /** Gives the outlines that are no examples the group of their class. */
    void set(Rows rows) {
        for (Map.Entry<String, Integer> entry : numbers.entrySet()) {
            if (!name(entry.getValue()).equals(entry.getKey())) {
                Roi.setGroupName(entry.getValue(), entry.getKey());
            }
        }
        for (Rows.Row row : rows.rows) {
            String name = rows.classOf(row);
            if (row.roi != null && name != null && example(row.roi) == 0) {
                int group = numbers.get(name);
                row.roi.setGroup(group);
                row.roi.setProperty(FOUND, Integer.toString(group));
            }
        }
    }

    /** How many rows have each class, as a sentence. */
    String counts(Rows rows) {
        List<String> parts = new ArrayList<>();
        for (String name : rows.classes) {
            int count = 0;
            for (Rows.Row row : rows.rows) {
                count += name.equals(rows.classOf(row)) ? 1 : 0;
            }
            boolean same = name.equals(Integer.toString(numbers.get(name)));
            parts.add(count + (same ? " of group " + name : " " + name + " (group " + numbers.get(name) + ")"));
        }
        int none = 0;
        for (Rows.Row row : rows.rows) {
            none += row.classNumber == 0 ? 1 : 0;
        }
        return String.join(", ", parts) + (none > 0 ? ", " + none + " without class, because not measured" : "");
    }
}
