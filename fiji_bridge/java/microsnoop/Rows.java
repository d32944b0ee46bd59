package microsnoop;

import ij.IJ;
import ij.gui.Roi;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The measured rows: one per object (or image), as many numbers per channel as the weights make. */
final class Rows {
    /** One object, or the whole image. */
    static final class Row {
        String name = "";
        int number = 1;
        int slice = 1;
        int frame = 1;
        /** One number per image, depth and time, from 1. */
        int imageNumber = 1;
        float centerX = Float.NaN;
        float centerY = Float.NaN;
        /** y0, x0, y1, x1 of the crop. */
        int[] box = new int[4];
        boolean border;
        float[] features;
        int cluster;
        /** Its outline; null for label images and whole images. */
        Roi roi;
        /** The group of its outline; 0: none. */
        int group;
        /** Its class as the user has labeled it; blank: not labeled. */
        String label = "";
        /** Its class as it was found, among those of all rows, from 1; 0: none. */
        int classNumber;
        /** Of each class. */
        float[] probabilities;
        Map<String, String> properties = Collections.emptyMap();
    }

    final String image;
    final String[] channels;
    /** Numbers per channel. */
    final int dimension;
    final boolean whole;
    final boolean hasSlices;
    final boolean hasFrames;
    final List<Row> rows = new ArrayList<>();
    /** Names of the classes; empty where rows are not classified. */
    List<String> classes = Collections.emptyList();
    /** Crops that could not be measured. */
    int failed;
    String firstReason = "";

    Rows(String image, String[] channels, int dimension, boolean whole, boolean hasSlices, boolean hasFrames) {
        this.image = image;
        this.channels = channels;
        this.dimension = dimension;
        this.whole = whole;
        this.hasSlices = hasSlices;
        this.hasFrames = hasFrames;
    }

    /** The class of a row; null if it has none. */
    String classOf(Row row) {
        return row.classNumber > 0 ? classes.get(row.classNumber - 1) : null;
    }

    boolean hasGroups() {
        for (Row row : rows) {
            if (row.group > 0) {
                return true;
            }
        }
        return false;
    }

    /** The names of the properties that any outline has. */
    Set<String> properties() {
        Set<String> names = new LinkedHashSet<>();
        for (Row row : rows) {
            names.addAll(row.properties.keySet());
        }
        return names;
    }

    /** Says in the log how many crops could not be measured. */
    void logFailed() {
        if (failed > 0) {
            IJ.log("Microsnoop: " + failed + " crops of \"" + image + "\" could not be measured and are NaN; the first "
                    + "because: " + firstReason);
        }
    }

    String label(Row row) {
        return whole ? image : image + ":" + row.name;
    }

    float[][] features() {
        float[][] features = new float[rows.size()][];
        for (int i = 0; i < features.length; i++) {
            features[i] = rows.get(i).features;
        }
        return features;
    }
}
