package microsnoop;

import ij.ImagePlus;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.gui.TextRoi;
import ij.plugin.frame.RoiManager;
import java.awt.GraphicsEnvironment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The outlines that the user means: those of the ROI Manager, of the overlay, or the active selection. */
final class RoiSources {
    /** Property of outlines that this plugin drew into an overlay: they are never measured. */
    static final String DRAWN = "microsnoop";

    /** An outline with its place in its list, from 1. */
    static final class Entry {
        final int number;
        final String name;
        final Roi roi;

        Entry(int number, String name, Roi roi) {
            this.number = number;
            this.name = name;
            this.roi = roi;
        }

        /** The properties that it was given, such as the class of a cell; keys are words. */
        Map<String, String> properties() {
            Map<String, String> found = new LinkedHashMap<>();
            String lines = roi.getProperties();
            for (String line : (lines == null ? "" : lines).split("\n")) {
                int colon = line.indexOf(':');
                String key = line.substring(0, Math.max(colon, 0)).trim().replaceAll("\\s+", "_");
                if (!key.isEmpty() && !key.equals(DRAWN) && !key.equals(Groups.FOUND)) {
                    found.put(key, line.substring(colon + 1).trim());
                }
            }
            return found;
        }

        /** True if it belongs to this depth and time; one without a position belongs to all. */
        boolean at(ImagePlus imp, int slice, int frame) {
            int z = roi.getZPosition();
            int t = roi.getTPosition();
            int position = roi.getPosition();
            if (!roi.hasHyperStackPosition() && position > 0 && position <= imp.getStackSize()) {
                int[] place = imp.convertIndexToPosition(position);
                z = place[1];
                t = place[2];
            }
            return (z == 0 || z == slice) && (t == 0 || t == frame);
        }
    }

    final List<Entry> entries = new ArrayList<>();
    /** ROIs that are left out because they have no area. */
    final List<String> leftOut = new ArrayList<>();

    RoiSources(ImagePlus imp, String source) throws Problem {
        if (source.equals(Options.ROI_MANAGER)) {
            ofManager();
        } else if (source.equals(Options.OVERLAY)) {
            ofOverlay(imp);
        } else {
            Roi roi = imp.getRoi();
            if (roi == null) {
                throw new Problem("There is no selection in \"" + imp.getTitle() + "\". Draw one with the rectangle, oval, "
                        + "polygon or freehand tool, or choose other objects.");
            }
            add(1, roi.getName() == null ? "selection" : roi.getName(), roi);
        }
        if (entries.isEmpty()) {
            throw new Problem("Nothing to measure: " + String.join(", ", leftOut)
                    + " has no area. Draw outlines with the rectangle, oval, polygon or freehand tool.");
        }
    }

    private void ofManager() throws Problem {
        if (GraphicsEnvironment.isHeadless()) {
            // Fiji would build the window
            throw new Problem("There is no ROI Manager without a window. Put the outlines into the overlay of the image, and "
                    + "choose objects=Overlay.");
        }
        RoiManager manager = RoiManager.getInstance2();
        Roi[] rois = manager == null ? new Roi[0] : manager.getRoisAsArray();
        if (rois.length == 0) {
            throw new Problem("The ROI Manager is empty. Draw an outline and press t to add it, or let Analyze > Analyze "
                    + "Particles find them (tick \"Add to Manager\"), or choose other objects, for example Whole image.");
        }
        for (int i = 0; i < rois.length; i++) {
            add(i + 1, manager.getName(i), rois[i]);
        }
    }

    private void ofOverlay(ImagePlus imp) throws Problem {
        Overlay overlay = imp.getOverlay();
        int number = 0;
        for (int i = 0; overlay != null && i < overlay.size(); i++) {
            Roi roi = overlay.get(i);
            if (roi.getProperty(DRAWN) == null) {
                add(++number, roi.getName(), roi);
            }
        }
        if (number == 0) {
            throw new Problem("The image \"" + imp.getTitle() + "\" has no overlay with outlines. Add selections with "
                    + "Image > Overlay > Add Selection, or choose other objects, for example Whole image.");
        }
    }

    private void add(int number, String name, Roi roi) {
        String shown = name == null || name.trim().isEmpty() ? String.format(Locale.ROOT, "%04d", number) : name.trim();
        boolean area = roi.isArea() && !(roi instanceof TextRoi) && !(roi instanceof ImageRoi)
                && roi.getBounds().width > 0 && roi.getBounds().height > 0;
        if (area) {
            entries.add(new Entry(number, shown, roi));
        } else {
            leftOut.add("ROI \"" + shown + "\" (" + roi.getTypeAsString() + ")");
        }
    }

    /** The outlines of one depth and time. */
    List<Entry> at(ImagePlus imp, int slice, int frame) {
        List<Entry> found = new ArrayList<>();
        for (Entry entry : entries) {
            if (entry.at(imp, slice, frame)) {
                found.add(entry);
            }
        }
        return found;
    }
}
