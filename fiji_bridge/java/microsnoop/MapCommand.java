package microsnoop;

import ij.IJ;
import ij.Macro;
import ij.WindowManager;
import ij.gui.GenericDialog;
import ij.measure.ResultsTable;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import ij.text.TextWindow;
import java.awt.Frame;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/** Plugins > Microsnoop > Microsnoop Embedding Map: the rows of a table as points; similar ones lie close together. */
public class MapCommand implements PlugIn {
    private static final String[] KEYS = {"table", "method", "color", "nearest"};
    private static final List<String> METHODS = Arrays.asList("PCA", "UMAP");
    private static final List<String> COLORS = Arrays.asList("cluster", "image", "none");
    private static final Pattern FEATURE = Pattern.compile("Microsnoop_E\\d{3,}_.+");

    @Override
    public void run(String argument) {
        boolean interactive = Reporter.interactive();
        IJ.resetEscape();
        boolean recording = Recorder.record;
        try {
            String text = Macro.getOptions();
            String table = Options.TABLE;
            String method = "PCA";
            String color = "cluster";
            boolean nearest = false;
            if (text != null || Reporter.unattended()) {
                Map<String, String> words = Options.words(text == null ? "" : text, KEYS, Arrays.asList("nearest"));
                table = words.getOrDefault("table", table);
                method = Options.choice("method", words.get("method"), method, METHODS);
                color = Options.choice("color", words.get("color"), color, colors(Arrays.asList(table), true));
                nearest = words.containsKey("nearest");
            } else {
                Recorder.record = false;
                GenericDialog dialog = new GenericDialog("Microsnoop Embedding Map");
                List<String> tables = tables();
                if (tables.isEmpty()) {
                    throw new Problem("There is no table with Microsnoop features. Run Plugins > Microsnoop > Measure "
                            + "Microsnoop Features first.");
                }
                dialog.addChoice("Table:", tables.toArray(new String[0]), tables.get(0));
                dialog.addChoice("Method:", METHODS.toArray(new String[0]), method);
                dialog.addChoice("Color by:", colors(tables, false).toArray(new String[0]), color);
                dialog.addMessage("Click a point of the map to select its object.");
                dialog.addCheckbox("Then also show the objects most like it (where their images are open)", false);
                dialog.addHelp(HelpCommand.TEXT);
                dialog.showDialog();
                if (dialog.wasCanceled()) {
                    return;
                }
                table = dialog.getNextChoice();
                method = dialog.getNextChoice();
                color = dialog.getNextChoice();
                nearest = dialog.getNextBoolean();
                Recorder.record = recording;
                if (recording) {
                    Recorder.recordOption("table", table);
                    Recorder.recordOption("method", method);
                    Recorder.recordOption("color", color);
                    if (nearest) {
                        Recorder.recordOption("nearest");
                    }
                }
            }
            Recorder.record = false;
            map(table, method, color, nearest);
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        } finally {
            Recorder.record = recording;
        }
    }

    /** What the points can be colored by: also groups and properties of ROIs, or any column. */
    private static List<String> colors(List<String> tables, boolean any) {
        List<String> found = new ArrayList<>(COLORS);
        for (String name : tables) {
            for (String heading : ResultTables.table(name).getHeadings()) {
                boolean property = heading.equals(ResultTables.GROUP) || heading.equals(ResultTables.CLASS)
                        || heading.startsWith(ResultTables.PROPERTY);
                boolean other = any && !FEATURE.matcher(heading).matches() && !heading.equals("Label");
                if ((property || other) && !found.contains(heading)) {
                    found.add(heading);
                }
            }
        }
        return found;
    }

    private static List<String> tables() {
        List<String> names = new ArrayList<>();
        for (Frame frame : WindowManager.getNonImageWindows()) {
            ResultsTable table = frame instanceof TextWindow ? ((TextWindow) frame).getResultsTable() : null;
            if (table != null && !features(table).isEmpty()) {
                names.add(frame.getTitle());
            }
        }
        return names;
    }

    private static List<String> features(ResultsTable table) {
        List<String> names = new ArrayList<>();
        for (String heading : table.getHeadings()) {
            if (FEATURE.matcher(heading).matches()) {
                names.add(heading);
            }
        }
        return names;
    }

    private static void map(String name, String method, String color, boolean nearest) throws Exception {
        ResultsTable table = ResultTables.table(name);
        List<String> headings = features(table);
        if (headings.isEmpty() || table.size() == 0) {
            throw new Problem("The table \"" + name + "\" has no Microsnoop features. Run Plugins > Microsnoop > Measure "
                    + "Microsnoop Features first, or name another table.");
        }
        float[][] features = new float[table.size()][headings.size()];
        for (int column = 0; column < headings.size(); column++) {
            int index = table.getColumnIndex(headings.get(column));
            for (int row = 0; row < features.length; row++) {
                features[row][column] = (float) table.getValueAsDouble(index, row);
            }
        }
        Engine engine = Engine.get(Settings.load());
        File file = Output.writeFloats(engine, "features", features);
        try {
            Map<String, Object> inputs = new LinkedHashMap<>();
            inputs.put("features", MeasureCore.npy(file));
            inputs.put("method", method.toLowerCase(Locale.ROOT));
            IJ.showStatus("Microsnoop: making the map");
            Map<String, Object> outputs = engine.run("map", inputs);
            File found = Engine.path(outputs, "points");
            float[][] points = Npy.readFloats(found);
            found.delete();
            String[] axes = {method + " 1", method + " 2"};
            Object explained = outputs.get("explained");
            for (int i = 0; explained instanceof List && i < ((List<?>) explained).size() && i < 2; i++) {
                axes[i] += " (" + Math.round(100 * (Double) ((List<?>) explained).get(i)) + " % of the variance)";
            }
            new MapWindow(table, name, points, groups(table, color), axes, nearest ? features : null).show();
            IJ.showStatus("Microsnoop: click a point to select its object");
        } finally {
            file.delete();
        }
    }

    /** A group for every row: its cluster, its image, or what a column says. */
    private static String[] groups(ResultsTable table, String color) {
        String[] groups = new String[table.size()];
        int column = table.getColumnIndex(ResultTables.CLUSTER);
        for (int row = 0; row < groups.length; row++) {
            groups[row] = "";
            if (color.equals("cluster") && column != ResultsTable.COLUMN_NOT_FOUND) {
                double cluster = table.getValueAsDouble(column, row);
                groups[row] = cluster > 0 ? "cluster " + (int) cluster : "no cluster";
            } else if (color.equals("image")) {
                groups[row] = MapWindow.image(table.getLabel(row));
            } else if (!COLORS.contains(color)) {
                String value = table.columnExists(color) ? table.getStringValue(color, row) : "";
                groups[row] = color + " " + (value == null || value.isEmpty() || value.equals("NaN") ? "(none)" : value);
            }
        }
        return groups;
    }
}
