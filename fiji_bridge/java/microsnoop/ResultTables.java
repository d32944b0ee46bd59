package microsnoop;

import ij.IJ;
import ij.WindowManager;
import ij.measure.Measurements;
import ij.measure.ResultsTable;
import ij.plugin.filter.Analyzer;
import ij.text.TextPanel;
import ij.text.TextWindow;
import ij.util.Tools;
import java.awt.Frame;
import java.awt.GraphicsEnvironment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/** Writes rows into a table of ImageJ. */
final class ResultTables {
    /** The table of ImageJ's own measurements. */
    static final String RESULTS = "Results";
    /** Tables of a headless ImageJ, which has no windows to keep them. */
    private static final Map<String, ResultsTable> WINDOWLESS = new HashMap<>();
    static final String CLUSTER = "Microsnoop_Cluster";
    static final String CLASS = "Microsnoop_Class";
    /** Of the class of the row. */
    static final String PROBABILITY = "Microsnoop_Probability";
    /** As ImageJ's own measurements call it. */
    static final String GROUP = "Group";
    /** Begins the columns of the properties of ROIs. */
    static final String PROPERTY = "Roi_";

    private ResultTables() {}

    static ResultsTable write(Rows rows, Options options) {
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
        Map<String, Function<Rows.Row, Object>> described = described(rows, options.cluster > 0);
        List<String> headings = new ArrayList<>(described.keySet());
        int before = headings.size();
        for (String channel : rows.channels) {
            for (int e = 0; e < rows.dimension; e++) {
                headings.add(String.format(Locale.ROOT, "Microsnoop_E%03d_%s", e, channel));
            }
        }
        table.setNaNEmptyCells(true);
        if (results) {
            share(table);
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
            for (Function<Rows.Row, Object> value : described.values()) {
                set(table, columns[place++], line, value.apply(row));
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

    /** What comes before the features: headings, and the value of a row. */
    private static Map<String, Function<Rows.Row, Object>> described(Rows rows, boolean clustered) {
        Map<String, Function<Rows.Row, Object>> columns = new LinkedHashMap<>();
        columns.put("ObjectNumber", row -> row.number);
        if (rows.hasSlices) {
            columns.put("Slice", row -> row.slice);
        }
        if (rows.hasFrames) {
            columns.put("Frame", row -> row.frame);
        }
        if (!rows.whole) {
            columns.put("Center_X", row -> row.centerX);
            columns.put("Center_Y", row -> row.centerY);
        }
        if (clustered) {
            columns.put(CLUSTER, row -> row.cluster);
        }
        if (!rows.classes.isEmpty()) {
            columns.put(CLASS, rows::classOf);
            columns.put(PROBABILITY, row -> row.classNumber > 0 ? row.probabilities[row.classNumber - 1] : Float.NaN);
        }
        if (rows.hasGroups()) {
            columns.put(GROUP, row -> row.group);
        }
        for (String property : rows.properties()) {
            columns.put(PROPERTY + property, row -> row.properties.get(property));
        }
        return columns;
    }

    /** Makes a table that of ImageJ's own measurements, in which what is not measured is NaN. */
    private static void share(ResultsTable table) {
        if (table != Analyzer.getResultsTable()) {
            Analyzer.setResultsTable(table);
        }
        if ((Analyzer.getMeasurements() & Measurements.NaN_EMPTY_CELLS) == 0) {
            Analyzer.setMeasurement(Measurements.NaN_EMPTY_CELLS, true);
            IJ.log("Microsnoop: switched on \"NaN empty cells\" (Analyze > Set Measurements). Without it, Area and the "
                    + "other measurements of ImageJ would be 0 in the rows of Microsnoop.");
        }
    }

    private static int places(String heading) {
        return heading.startsWith(PROPERTY) ? ResultsTable.AUTO_FORMAT : heading.startsWith("Center_") || heading.equals(PROBABILITY) ? 3 : 0;
    }

    /** Sets a number, or a text that is none. */
    private static void set(ResultsTable table, int column, int row, Object value) {
        double number = value instanceof Number ? ((Number) value).doubleValue() : Tools.parseDouble((String) value);
        if (value instanceof String && Double.isNaN(number)) {
            table.setValue(column, row, (String) value);
        } else {
            table.setValue(column, row, number);
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
}
