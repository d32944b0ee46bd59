package microsnoop;

import ij.ImagePlus;
import ij.WindowManager;
import ij.measure.ResultsTable;
import ij.process.ColorProcessor;
import ij.process.ImageProcessor;
import java.awt.Color;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The rows that are most like one of a table, and a montage of their objects. */
final class Nearest {
    private static final int COUNT = 24;
    private static final int COLUMNS = 6;
    private static final int TILE = 96;
    private static final int GAP = 4;

    private Nearest() {}

    /** A row and the others in the order of the distance of their features; rows without features are left out. */
    static List<Integer> rows(float[][] features, int row) {
        final double[] distances = new double[features.length];
        List<Integer> found = new ArrayList<>();
        for (int other = 0; other < features.length; other++) {
            for (int i = 0; i < features[row].length; i++) {
                double difference = features[other][i] - features[row][i];
                distances[other] += difference * difference;
            }
            if (!Double.isNaN(distances[other]) && other != row) {
                found.add(other);
            }
        }
        found.sort(Comparator.comparingDouble(other -> distances[other]));
        found.add(0, row);
        return found.subList(0, Math.min(COUNT, found.size()));
    }

    /**
     * Shows objects as their images are displayed, the first of them framed.
     *
     * @param side of the squares around the objects, in pixels
     */
    static void show(ResultsTable table, List<Integer> rows, int side) {
        int lines = (rows.size() + COLUMNS - 1) / COLUMNS;
        ColorProcessor montage = new ColorProcessor(COLUMNS * (TILE + GAP) + GAP, lines * (TILE + GAP) + GAP);
        montage.setColor(new Color(0x404040));
        montage.fill();
        StringBuilder info = new StringBuilder();
        Map<String, ColorProcessor> planes = new HashMap<>();
        for (int i = 0; i < rows.size(); i++) {
            int row = rows.get(i);
            int x = GAP + i % COLUMNS * (TILE + GAP);
            int y = GAP + i / COLUMNS * (TILE + GAP);
            String label = table.getLabel(row);
            ImageProcessor tile = tile(table, row, label, side, planes);
            if (tile != null) {
                montage.insert(tile, x, y);
            }
            info.append(i + 1).append("  ").append(label).append(tile == null ? "  (its image is not open)" : "").append('\n');
        }
        montage.setColor(Color.WHITE);
        montage.drawRect(GAP / 2, GAP / 2, TILE + GAP, TILE + GAP);
        ImagePlus imp = new ImagePlus("Nearest to " + table.getLabel(rows.get(0)), montage);
        imp.setProperty("Info", info.toString());
        imp.show();
    }

    /** The square around an object, or its whole image; null if that is not open. */
    private static ImageProcessor tile(ResultsTable table, int row, String label, int side, Map<String, ColorProcessor> planes) {
        ImagePlus imp = WindowManager.getImage(MapWindow.image(label));
        if (imp == null) {
            return null;
        }
        int slice = MapWindow.value(table, "Slice", row, imp.getSlice());
        int frame = MapWindow.value(table, "Frame", row, imp.getFrame());
        ColorProcessor plane = planes.computeIfAbsent(imp.getID() + " " + slice + " " + frame, k -> displayed(imp, slice, frame));
        ImageProcessor crop = plane;
        if (table.columnExists("Center_X")) {
            int x = MapWindow.value(table, "Center_X", row, 0);
            int y = MapWindow.value(table, "Center_Y", row, 0);
            crop = new ColorProcessor(side, side);
            crop.insert(plane, side / 2 - x, side / 2 - y);
        }
        crop.setInterpolationMethod(ImageProcessor.BILINEAR);
        return crop.resize(TILE, TILE, true);
    }

    /** A plane in the colors in which it is shown. */
    private static ColorProcessor displayed(ImagePlus imp, int slice, int frame) {
        int[] former = {imp.getChannel(), imp.getSlice(), imp.getFrame()};
        imp.setPosition(former[0], slice, frame);
        ColorProcessor plane = new ColorProcessor(imp.getImage());
        imp.setPosition(former[0], former[1], former[2]);
        return plane;
    }
}
