package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.measure.Measurements;
import ij.measure.ResultsTable;
import ij.plugin.filter.Analyzer;
import ij.process.ColorProcessor;
import ij.text.TextPanel;
import ij.text.TextWindow;
import ij.util.Tools;
import java.awt.Color;
import java.awt.Frame;
import java.awt.GraphicsEnvironment;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Writes rows: into a table of ImageJ, into a file through the engine, as clusters into an overlay. */
final class Output {
    /** The table of ImageJ's own measurements. */
    static final String RESULTS = "Results";
    /** Tables of a headless ImageJ, which has no windows to keep them. */
    private static final Map<String, ResultsTable> WINDOWLESS = new HashMap<>();
    static final String CLUSTER = "Microsnoop_Cluster";
    /** As ImageJ's own measurements call it. */
    static final String GROUP = "Group";
    /** Begins the columns of the properties of ROIs. */
    static final String PROPERTY = "Roi_";
    private static final int[] COLORS = {
        0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0xbcbd22, 0x17becf, 0x7f7f7f
    };

    private Output() {}

    static void check(Options options) throws Problem {
        File folder = options.csv.isEmpty() ? null : new File(options.csv).getAbsoluteFile().getParentFile();
        if (folder != null && !folder.isDirectory()) {
            throw new Problem("The file \"" + options.csv + "\" cannot be written: there is no folder \"" + folder
                    + "\". Make it, or choose another.");
        }
    }

    /** @return the table */
    static ResultsTable write(Rows rows, Options options, ImagePlus imp) throws Problem {
        try {
            if (options.cluster > 0) {
                cluster(rows, options.cluster);
            }
            if (options.overlay) {
                draw(rows, options, imp);
            }
            ResultsTable table = toTable(rows, options);
            if (!options.csv.isEmpty()) {
                toFile(rows, options);
            }
            return table;
        } catch (IOException e) {
            throw new Problem("An array could not be passed to the microsnoop engine: " + e.getMessage()
                    + "\nWhat to do: is the disk of the temporary folder full? Make room, and run the command again.");
        }
    }

    static Color color(int cluster) {
        if (cluster <= 0) {
            return Color.LIGHT_GRAY;
        }
        return cluster <= COLORS.length ? new Color(COLORS[cluster - 1]) : Color.getHSBColor(cluster * 0.618f, 0.8f, 0.9f);
    }

    private static void cluster(Rows rows, int count) throws Problem, IOException {
        Engine engine = Engine.get(Settings.load());
        File features = writeFloats(engine, "features", rows.features());
        try {
            Map<String, Object> inputs = new LinkedHashMap<>();
            inputs.put("features", MeasureCore.npy(features));
            inputs.put("clusters", count);
            File found = Engine.path(engine.run("cluster", inputs), "cluster");
            int[][] clusters = Npy.readInts(found);
            found.delete();
            for (int i = 0; i < clusters.length; i++) {
                rows.rows.get(i).cluster = clusters[i][0];
            }
        } finally {
            features.delete();
        }
    }

    private static ResultsTable toTable(Rows rows, Options options) {
        boolean results = options.table.equals(RESULTS);
        ResultsTable table = table(options.table);
        if (options.clear) {
            table.reset();
        }
        int shown = table.size();
        if (results && table.getLastColumn() < 0) {
            // the first places belong to Area, Mean, ..., also when nothing has been measured yet
            table.setDefaultHeadings();
        }
        List<String> headings = new ArrayList<>();
        headings.add("ObjectNumber");
        if (rows.hasSlices) {
            headings.add("Slice");
        }
        if (rows.hasFrames) {
            headings.add("Frame");
        }
        if (!rows.whole) {
            headings.add("Center_X");
            headings.add("Center_Y");
        }
        if (options.cluster > 0) {
            headings.add(CLUSTER);
        }
        boolean groups = rows.hasGroups();
        if (groups) {
            headings.add(GROUP);
        }
        List<String> properties = new ArrayList<>(rows.properties());
        for (String property : properties) {
            headings.add(PROPERTY + property);
        }
        int before = headings.size();
        for (String channel : rows.channels) {
            for (int e = 0; e < rows.dimension; e++) {
                headings.add(String.format(Locale.ROOT, "Microsnoop_E%03d_%s", e, channel));
            }
        }
        if (results && table != Analyzer.getResultsTable()) {
            Analyzer.setResultsTable(table);
        }
        table.setNaNEmptyCells(true);
        if (results && (Analyzer.getMeasurements() & Measurements.NaN_EMPTY_CELLS) == 0) {
            Analyzer.setMeasurement(Measurements.NaN_EMPTY_CELLS, true);
            IJ.log("Microsnoop: switched on \"NaN empty cells\" (Analyze > Set Measurements). Without it, Area and the "
                    + "other measurements of ImageJ would be 0 in the rows of Microsnoop.");
        }
        List<Integer> others = columns(table);
        int[] columns = new int[headings.size()];
        for (Rows.Row row : rows.rows) {
            table.incrementCounter();
            int line = table.size() - 1;
            if (line == shown) {
                for (int i = 0; i < columns.length; i++) {
                    // by name, or "Set Measurements..." would remove the column
                    table.addValue(headings.get(i), Double.NaN);
                    columns[i] = table.getColumnIndex(headings.get(i));
                    others.remove((Integer) columns[i]);
                }
            }
            for (int other : others) {
                table.setValue(other, line, Double.NaN);
            }
            table.addLabel(rows.label(row));
            int place = 0;
            table.setValue(columns[place++], line, row.number);
            if (rows.hasSlices) {
                table.setValue(columns[place++], line, row.slice);
            }
            if (rows.hasFrames) {
                table.setValue(columns[place++], line, row.frame);
            }
            if (!rows.whole) {
                table.setValue(columns[place++], line, row.centerX);
                table.setValue(columns[place++], line, row.centerY);
            }
            if (options.cluster > 0) {
                table.setValue(columns[place++], line, row.cluster);
            }
            if (groups) {
                table.setValue(columns[place++], line, row.group);
            }
            for (String property : properties) {
                set(table, columns[place++], line, row.properties.get(property));
            }
            for (int i = 0; i < row.features.length; i++) {
                table.setValue(columns[before + i], line, row.features[i]);
            }
        }
        for (int i = 0; i < columns.length; i++) {
            // the first value of a column sets them too, so they come last
            table.setDecimalPlaces(columns[i], i >= before ? 9 : places(headings.get(i)));
        }
        display(table, options.table, shown);
        return table;
    }

    private static int places(String heading) {
        return heading.startsWith(PROPERTY) ? ResultsTable.AUTO_FORMAT : heading.startsWith("Center_") ? 3 : 0;
    }

    /** Sets a number, or a text that is none. */
    private static void set(ResultsTable table, int column, int row, String value) {
        double number = value == null ? Double.NaN : Tools.parseDouble(value);
        if (value == null || !Double.isNaN(number)) {
            table.setValue(column, row, number);
        } else {
            table.setValue(column, row, value);
        }
    }

    /** The table with this title; a new one if there is none. */
    static ResultsTable table(String title) {
        if (title.equals(RESULTS)) {
            return ResultsTable.getResultsTable();
        }
        ResultsTable table = GraphicsEnvironment.isHeadless() ? WINDOWLESS.get(title) : ResultsTable.getResultsTable(title);
        return table == null ? new ResultsTable() : table;
    }

    private static List<Integer> columns(ResultsTable table) {
        List<Integer> columns = new ArrayList<>();
        for (int i = 0; i <= table.getLastColumn(); i++) {
            if (table.columnExists(i)) {
                columns.add(i);
            }
        }
        return columns;
    }

    /** Shows a table: all of it, or only the rows below those that its window shows already, which is much faster. */
    private static void display(ResultsTable table, String title, int shown) {
        if (GraphicsEnvironment.isHeadless() && !title.equals(RESULTS)) {
            WINDOWLESS.put(title, table);
            return;
        }
        Frame window = WindowManager.getFrame(title);
        TextPanel panel = window instanceof TextWindow ? ((TextWindow) window).getTextPanel() : null;
        boolean added = shown > 0 && panel != null && panel.getLineCount() == shown
                && table.getColumnHeadings().equals(panel.getColumnHeadings());
        if (!added) {
            table.show(title);
            return;
        }
        for (int row = shown; row < table.size(); row++) {
            panel.appendWithoutUpdate(table.getRowAsString(row));
        }
        panel.updateDisplay();
    }

    private static void toFile(Rows rows, Options options) throws Problem, IOException {
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
        Map<String, Object> inputs = new LinkedHashMap<>();
        inputs.put("path", new File(options.csv).getAbsolutePath());
        inputs.put("append", options.append);
        inputs.put("objects", rows.whole ? "Image" : options.name);
        inputs.put("channels", Arrays.asList(rows.channels));
        inputs.put("metadata", metadata);
        List<File> files = new ArrayList<>();
        try {
            give(inputs, files, "features", writeFloats(engine, "features", rows.features()));
            give(inputs, files, "image_number", writeInts(engine, "image_number", false, imageNumbers));
            if (!rows.whole) {
                give(inputs, files, "object_number", writeInts(engine, "object_number", false, numbers));
                give(inputs, files, "box", writeInts(engine, "box", true, boxes));
                give(inputs, files, "border", writeInts(engine, "border", false, borders));
                give(inputs, files, "center", writeFloats(engine, "center", centers));
            }
            engine.run("write_table", inputs);
        } finally {
            for (File file : files) {
                file.delete();
            }
        }
    }

    private static void give(Map<String, Object> inputs, List<File> files, String name, File file) {
        files.add(file);
        inputs.put(name, MeasureCore.npy(file));
    }

    static File writeFloats(Engine engine, String name, float[][] rows) throws IOException {
        File file = engine.file(name);
        try (Npy npy = new Npy(file, "f4", rows.length, rows[0].length)) {
            for (float[] row : rows) {
                npy.floats(row);
            }
        }
        return file;
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

    /** Adds outlines colored by cluster to the overlay, in place of those drawn before; the user's own stay. */
    private static void draw(Rows rows, Options options, ImagePlus imp) throws Problem {
        if (rows.whole) {
            return;
        }
        Overlay overlay = imp.getOverlay() == null ? new Overlay() : imp.getOverlay();
        for (int i = overlay.size() - 1; i >= 0; i--) {
            if (overlay.get(i).getProperty(RoiSources.DRAWN) != null) {
                overlay.remove(i);
            }
        }
        if (options.objects.equals(Options.LABEL_IMAGE)) {
            drawLabels(rows, options, imp, overlay);
        }
        for (Rows.Row row : rows.rows) {
            if (row.roi != null) {
                Roi roi = (Roi) row.roi.clone();
                roi.setFillColor(null);
                roi.setStrokeColor(color(row.cluster));
                roi.setStrokeWidth(Math.max(2, imp.getWidth() / 400));
                add(overlay, roi, rows, row, imp);
            }
        }
        imp.setOverlay(overlay);
    }

    private static void drawLabels(Rows rows, Options options, ImagePlus imp, Overlay overlay) throws Problem {
        LabelImage labels = new LabelImage(imp, options.labels);
        Map<Integer, List<Rows.Row>> images = new LinkedHashMap<>();
        for (Rows.Row row : rows.rows) {
            images.computeIfAbsent(row.imageNumber, k -> new ArrayList<>()).add(row);
        }
        for (List<Rows.Row> here : images.values()) {
            Map<Integer, Integer> colors = new HashMap<>();
            for (Rows.Row row : here) {
                colors.put(row.number, color(row.cluster).getRGB() & 0xffffff);
            }
            int[] pixels = labels.plane(here.get(0).slice, here.get(0).frame);
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = colors.getOrDefault(pixels[i], 0);
            }
            ImageRoi roi = new ImageRoi(0, 0, new ColorProcessor(imp.getWidth(), imp.getHeight(), pixels));
            roi.setZeroTransparent(true);
            roi.setOpacity(0.4);
            add(overlay, roi, rows, here.get(0), imp);
        }
    }

    private static void add(Overlay overlay, Roi roi, Rows rows, Rows.Row row, ImagePlus imp) {
        roi.setProperty(RoiSources.DRAWN, "cluster " + row.cluster);
        if (rows.hasSlices || rows.hasFrames) {
            if (imp.isHyperStack()) {
                roi.setPosition(0, row.slice, row.frame);
            } else {
                roi.setPosition(imp.getStackIndex(1, row.slice, row.frame));
            }
        }
        overlay.add(roi);
    }
}
