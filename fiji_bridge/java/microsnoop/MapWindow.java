package microsnoop;

import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.ImageCanvas;
import ij.gui.Overlay;
import ij.gui.Plot;
import ij.gui.PlotWindow;
import ij.gui.Roi;
import ij.measure.ResultsTable;
import ij.plugin.frame.RoiManager;
import ij.text.TextPanel;
import ij.text.TextWindow;
import java.awt.Color;
import java.awt.Frame;
import java.awt.event.MouseAdapter;
import java.awt.event.MouseEvent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A scatter plot of rows; a click selects the row in its table and the object in its image. */
final class MapWindow extends MouseAdapter {
    private static final int REACH = 12;
    /** Side of the squares in a montage of objects without outlines, and how much wider than an outline the others are. */
    private static final int SIDE = 64;
    private static final double MARGIN = 1.5;

    private final ResultsTable table;
    private final String tableName;
    private final float[][] points;
    private final String[] labels;
    private final Plot plot;
    /** Features by which the nearest objects of a clicked one are found; null: they are not shown. */
    private final float[][] features;

    MapWindow(ResultsTable table, String tableName, float[][] points, String[] groups, String[] axes, float[][] features) {
        this.features = features;
        this.table = table;
        this.tableName = tableName;
        this.points = points;
        labels = new String[points.length];
        Map<String, List<Integer>> members = new LinkedHashMap<>();
        for (int row = 0; row < points.length; row++) {
            labels[row] = table.getLabel(row);
            if (!Float.isNaN(points[row][0])) {
                members.computeIfAbsent(groups[row], k -> new ArrayList<>()).add(row);
            }
        }
        List<String> names = new ArrayList<>(members.keySet());
        java.util.Collections.sort(names);
        plot = new Plot("Microsnoop map of " + tableName, axes[0], axes[1]);
        plot.setSize(620, 480);
        for (int group = 0; group < names.size(); group++) {
            String name = names.get(group);
            List<Integer> rows = members.get(name);
            double[] x = new double[rows.size()];
            double[] y = new double[rows.size()];
            for (int i = 0; i < x.length; i++) {
                x[i] = points[rows.get(i)][0];
                y[i] = points[rows.get(i)][1];
            }
            Color color = ColoredOverlay.color(name.equals("no cluster") ? 0 : group + 1);
            plot.setLineWidth(2);
            plot.setColor(color.darker(), color);
            plot.add("circle", x, y);
        }
        plot.setColor(Color.BLACK);
        plot.setLineWidth(1);
        if (names.size() > 1 && names.size() <= 12) {
            plot.addLegend(String.join("\n", names), "auto");
        }
        double[] limits = limits(points);
        plot.setLimits(limits[0], limits[1], limits[2], limits[3]);
    }

    /** Least and largest x and y, with room for the points at the edges. */
    private static double[] limits(float[][] points) {
        double[] limits = new double[4];
        for (int axis = 0; axis < 2; axis++) {
            double least = Double.POSITIVE_INFINITY;
            double most = Double.NEGATIVE_INFINITY;
            for (float[] point : points) {
                if (!Float.isNaN(point[axis])) {
                    least = Math.min(least, point[axis]);
                    most = Math.max(most, point[axis]);
                }
            }
            double room = most > least ? (most - least) * 0.06 : 1;
            limits[2 * axis] = least - room;
            limits[2 * axis + 1] = most + room;
        }
        return limits;
    }

    void show() {
        PlotWindow window = plot.show();
        if (window != null && window.getCanvas() != null) {
            window.getCanvas().addMouseListener(this);
        }
    }

    @Override
    public void mouseClicked(MouseEvent event) {
        ImageCanvas canvas = (ImageCanvas) event.getSource();
        int x = canvas.offScreenX(event.getX());
        int y = canvas.offScreenY(event.getY());
        int nearest = -1;
        double least = REACH * REACH;
        for (int row = 0; row < points.length; row++) {
            if (!Float.isNaN(points[row][0])) {
                double dx = plot.scaleXtoPxl(points[row][0]) - x;
                double dy = plot.scaleYtoPxl(points[row][1]) - y;
                if (dx * dx + dy * dy < least) {
                    least = dx * dx + dy * dy;
                    nearest = row;
                }
            }
        }
        if (nearest >= 0) {
            select(nearest);
        }
    }

    /** Selects a row in the table, and its object in the image if that is open. */
    private void select(int row) {
        Frame window = WindowManager.getFrame(tableName);
        boolean same = row < table.size() && labels[row].equals(table.getLabel(row));
        if (window instanceof TextWindow && same) {
            TextPanel panel = ((TextWindow) window).getTextPanel();
            panel.setSelection(row, row);
        }
        ImagePlus imp = WindowManager.getImage(image(labels[row]));
        if (imp == null || !same) {
            ij.IJ.showStatus("Microsnoop: " + labels[row] + (same ? " (its image is not open)" : " (the table has changed)"));
            return;
        }
        int slice = value(table, "Slice", row, imp.getSlice());
        int frame = value(table, "Frame", row, imp.getFrame());
        imp.setPosition(imp.getChannel(), slice, frame);
        Roi roi = roi(imp, labels[row], row);
        if (roi != null) {
            roi = (Roi) roi.clone();
            roi.setStrokeColor(null);
            imp.setRoi(roi);
        }
        if (imp.getWindow() != null) {
            imp.getWindow().toFront();
        }
        if (features != null) {
            boolean outlined = roi != null && roi.getName() != null;
            int side = outlined ? (int) (MARGIN * Math.max(roi.getBounds().width, roi.getBounds().height)) : SIDE;
            Nearest.show(table, Nearest.rows(features, row), Math.max(side, 16));
        }
        ij.IJ.showStatus("Microsnoop: " + labels[row]);
    }

    /** The outline of a row: from the ROI Manager or the overlay by its name, else a square around its center. */
    private Roi roi(ImagePlus imp, String label, int row) {
        String name = label.substring(Math.min(label.length(), image(label).length() + 1));
        int number = value(table, "ObjectNumber", row, 0);
        RoiManager manager = RoiManager.getInstance();
        if (manager != null && number >= 1 && number <= manager.getCount() && name.equals(manager.getName(number - 1))) {
            return manager.getRoi(number - 1);
        }
        Overlay overlay = imp.getOverlay();
        for (int i = 0; overlay != null && i < overlay.size(); i++) {
            if (name.equals(overlay.get(i).getName())) {
                return overlay.get(i);
            }
        }
        int column = table.getColumnIndex("Center_X");
        if (column == ResultsTable.COLUMN_NOT_FOUND) {
            return null;
        }
        double x = table.getValueAsDouble(column, row);
        double y = table.getValue("Center_Y", row);
        return Double.isNaN(x) ? null : new Roi(x - 15, y - 15, 31, 31);
    }

    static int value(ResultsTable table, String heading, int row, int otherwise) {
        int column = table.getColumnIndex(heading);
        double value = column == ResultsTable.COLUMN_NOT_FOUND ? Double.NaN : table.getValueAsDouble(column, row);
        return Double.isNaN(value) ? otherwise : (int) value;
    }

    /** The title of the image in a row's label: an open image whose title begins it, else all before the last colon. */
    static String image(String label) {
        int[] ids = WindowManager.getIDList();
        for (int i = 0; ids != null && i < ids.length; i++) {
            ImagePlus imp = WindowManager.getImage(ids[i]);
            if (imp != null && (label.equals(imp.getTitle()) || label.startsWith(imp.getTitle() + ":"))) {
                return imp.getTitle();
            }
        }
        int colon = label.lastIndexOf(':');
        return colon < 0 ? label : label.substring(0, colon);
    }
}
