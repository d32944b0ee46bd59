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
import java.util.function.Function;

/** Draws objects in the colors of their clusters or classes into the overlay of an image. */
final class ColoredOverlay {
    private static final int[] COLORS = {
        0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0xbcbd22, 0x17becf, 0x7f7f7f
    };

    private final Rows rows;
    private final ImagePlus imp;
    private final Function<Rows.Row, Color> colors;
    private final Overlay overlay;

    private ColoredOverlay(Rows rows, ImagePlus imp, Function<Rows.Row, Color> colors) {
        this.rows = rows;
        this.imp = imp;
        this.colors = colors;
        overlay = imp.getOverlay() == null ? new Overlay() : imp.getOverlay();
    }

    static Color color(int cluster) {
        if (cluster <= 0) {
            return Color.LIGHT_GRAY;
        }
        return cluster <= COLORS.length ? new Color(COLORS[cluster - 1]) : Color.getHSBColor(cluster * 0.618f, 0.8f, 0.9f);
    }

    /** Adds colored outlines to the overlay, in place of those drawn before; the user's own stay. */
    static void draw(Rows rows, Options options, ImagePlus imp, Function<Rows.Row, Color> colors) throws Problem {
        if (!rows.whole) {
            new ColoredOverlay(rows, imp, colors).draw(options);
        }
    }

    private void draw(Options options) throws Problem {
        for (int i = overlay.size() - 1; i >= 0; i--) {
            if (overlay.get(i).getProperty(RoiSources.DRAWN) != null) {
                overlay.remove(i);
            }
        }
        if (options.objects.equals(Options.LABEL_IMAGE)) {
            drawLabels(new LabelImage(imp, options.labels));
        }
        for (Rows.Row row : rows.rows) {
            if (row.roi != null) {
                Roi roi = (Roi) row.roi.clone();
                roi.setFillColor(null);
                roi.setStrokeColor(colors.apply(row));
                roi.setStrokeWidth(Math.max(2, imp.getWidth() / 400));
                add(roi, row);
            }
        }
        imp.setOverlay(overlay);
    }

    private void drawLabels(LabelImage labels) throws Problem {
        Map<Integer, List<Rows.Row>> images = new LinkedHashMap<>();
        for (Rows.Row row : rows.rows) {
            images.computeIfAbsent(row.imageNumber, k -> new ArrayList<>()).add(row);
        }
        for (List<Rows.Row> here : images.values()) {
            Map<Integer, Integer> shown = new HashMap<>();
            for (Rows.Row row : here) {
                // 0 is transparent
                shown.put(row.number, Math.max(1, colors.apply(row).getRGB() & 0xffffff));
            }
            int[] pixels = labels.plane(here.get(0).slice, here.get(0).frame);
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = shown.getOrDefault(pixels[i], 0);
            }
            ImageRoi roi = new ImageRoi(0, 0, new ColorProcessor(imp.getWidth(), imp.getHeight(), pixels));
            roi.setZeroTransparent(true);
            roi.setOpacity(0.4);
            add(roi, here.get(0));
        }
    }

    private void add(Roi roi, Rows.Row row) {
        roi.setProperty(RoiSources.DRAWN, "drawn");
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
