package microsnoop;

import ij.ImagePlus;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.process.ColorProcessor;
import java.awt.Color;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Draws objects in the colors of their clusters into the overlay of an image. */
final class ClusterOverlay {
    private static final int[] COLORS = {
        0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0xbcbd22, 0x17becf, 0x7f7f7f
    };

    private ClusterOverlay() {}

    static Color color(int cluster) {
        if (cluster <= 0) {
            return Color.LIGHT_GRAY;
        }
        return cluster <= COLORS.length ? new Color(COLORS[cluster - 1]) : Color.getHSBColor(cluster * 0.618f, 0.8f, 0.9f);
    }

    /** Adds outlines colored by cluster to the overlay, in place of those drawn before; the user's own stay. */
    static void draw(Rows rows, Options options, ImagePlus imp) throws Problem {
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
