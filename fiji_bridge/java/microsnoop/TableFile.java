package microsnoop;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes rows into a file, through the engine. */
final class TableFile {
    private TableFile() {}

    static void write(Rows rows, Options options) throws Problem, IOException {
        Engine engine = Engine.get(Settings.load());
        int count = rows.rows.size();
        List<Object> images = new ArrayList<>();
        List<Object> names = new ArrayList<>();
        List<Object> slices = new ArrayList<>();
        List<Object> frames = new ArrayList<>();
        List<Object> clusters = new ArrayList<>();
        List<Object> groups = new ArrayList<>();
        int[][] imageNumbers = new int[1][count];
        int[][] numbers = new int[1][count];
        int[][] boxes = new int[count][];
        int[][] borders = new int[1][count];
        float[][] centers = new float[count][];
        for (int i = 0; i < count; i++) {
            Rows.Row row = rows.rows.get(i);
            images.add(rows.image);
            names.add(row.name);
            slices.add(row.slice);
            frames.add(row.frame);
            clusters.add(row.cluster);
            groups.add(row.group);
            imageNumbers[0][i] = row.imageNumber;
            numbers[0][i] = row.number;
            boxes[i] = row.box;
            borders[0][i] = row.border ? 1 : 0;
            centers[i] = new float[] {row.centerY, row.centerX};
        }
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("Image", images);
        if (!rows.whole) {
            metadata.put("Roi", names);
            metadata.put("Group", groups);
        }
        for (String property : rows.properties()) {
            List<Object> values = new ArrayList<>();
            for (Rows.Row row : rows.rows) {
                values.add(row.properties.getOrDefault(property, ""));
            }
            metadata.put("Roi_" + property, values);
        }
        metadata.put("Slice", slices);
        metadata.put("Frame", frames);
        if (options.cluster > 0) {
            metadata.put("Cluster", clusters);
        }
        if (!rows.classes.isEmpty()) {
            addClasses(rows, metadata);
        }
        Map<String, Object> inputs = new LinkedHashMap<>();
        inputs.put("path", new File(options.csv).getAbsolutePath());
        inputs.put("append", options.append);
        inputs.put("objects", rows.whole ? "Image" : options.name);
        inputs.put("channels", Arrays.asList(rows.channels));
        inputs.put("metadata", metadata);
        List<File> files = new ArrayList<>();
        try {
            give(inputs, files, "features", Output.writeFloats(engine, "features", rows.features()));
            give(inputs, files, "image_number", writeInts(engine, "image_number", false, imageNumbers));
            if (!rows.whole) {
                give(inputs, files, "object_number", writeInts(engine, "object_number", false, numbers));
                give(inputs, files, "box", writeInts(engine, "box", true, boxes));
                give(inputs, files, "border", writeInts(engine, "border", false, borders));
                give(inputs, files, "center", Output.writeFloats(engine, "center", centers));
            }
            engine.run("write_table", inputs);
        } finally {
            for (File file : files) {
                file.delete();
            }
        }
    }

    /** The columns of "microsnoop classify apply", and the labels that it can be trained on. */
    private static void addClasses(Rows rows, Map<String, Object> metadata) {
        List<Object> labels = new ArrayList<>();
        List<Object> found = new ArrayList<>();
        for (Rows.Row row : rows.rows) {
            labels.add(row.label);
            found.add(row.classNumber > 0 ? rows.classOf(row) : "");
        }
        metadata.put("Label", labels);
        metadata.put("Class", found);
        for (int i = 0; i < rows.classes.size(); i++) {
            List<Object> probabilities = new ArrayList<>();
            for (Rows.Row row : rows.rows) {
                // with the digits of a float, not of the double next to it
                probabilities.add(row.classNumber > 0 ? Double.valueOf(Float.toString(row.probabilities[i])) : null);
            }
            metadata.put("Class_Probability_" + rows.classes.get(i), probabilities);
        }
    }

    private static void give(Map<String, Object> inputs, List<File> files, String name, File file) {
        files.add(file);
        inputs.put(name, MeasureCore.npy(file));
    }

    private static File writeInts(Engine engine, String name, boolean matrix, int[][] rows) throws IOException {
        File file = engine.file(name);
        long[] shape = matrix ? new long[] {rows.length, rows[0].length} : new long[] {rows[0].length};
        try (Npy npy = new Npy(file, "i4", shape)) {
            for (int[] row : rows) {
                npy.ints(row);
            }
        }
        return file;
    }
}
