package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Overlay;
import ij.gui.PointRoi;
import ij.gui.Roi;
import ij.plugin.frame.RoiManager;
import java.awt.GraphicsEnvironment;
import java.awt.Point;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The objects whose class the user has given: outlines with a group, or objects of a label image that such a ROI marks. */
final class Examples {
    private final ImagePlus imp;
    private final List<int[]> places;
    /** Groups by slice, frame and number of the object. */
    private final Map<List<Integer>, Integer> groups = new HashMap<>();
    private int assigned;
    private int elsewhere;
    private int onBackground;

    /** Finds them before anything is measured, and refuses too few. */
    Examples(ImagePlus imp, Options options) throws Problem {
        this.imp = imp;
        places = new Pixels(imp, options.channels).places(options.allSlices);
        boolean labels = options.objects.equals(Options.LABEL_IMAGE);
        if (labels) {
            ofLabels(new LabelImage(imp, options.labels));
        } else {
            ofOutlines(new RoiSources(imp, options.objects).entries);
        }
        check(labels);
        if (elsewhere > 0) {
            IJ.log("Microsnoop: " + elsewhere + " ROIs with a group lie on other slices, and are no examples. Choose \"all\" "
                    + "slices to learn from them.");
        }
        if (onBackground > 0) {
            IJ.log("Microsnoop: " + onBackground + " places with a group lie on no object of the label image, and are left out.");
        }
    }

    /** The class that the user gave a row; blank if none. */
    String of(Rows.Row row) {
        Integer group = groups.get(Arrays.asList(row.slice, row.frame, row.number));
        return group == null ? "" : Groups.name(group);
    }

    /** The group that the user gave a row; 0: none. */
    int group(Rows.Row row) {
        return groups.getOrDefault(Arrays.asList(row.slice, row.frame, row.number), 0);
    }

    private void ofOutlines(List<RoiSources.Entry> entries) {
        for (RoiSources.Entry entry : entries) {
            int group = Groups.example(entry.roi);
            boolean here = false;
            for (int[] place : places) {
                if (group > 0 && entry.at(imp, place[0], place[1])) {
                    groups.put(Arrays.asList(place[0], place[1], entry.number), group);
                    here = true;
                }
            }
            assigned += entry.roi.getGroup() > 0 && group == 0 ? 1 : 0;
            elsewhere += group > 0 && !here ? 1 : 0;
        }
    }

    private void ofLabels(LabelImage labels) throws Problem {
        List<RoiSources.Entry> marks = marks();
        boolean[] used = new boolean[marks.size()];
        for (int[] place : places) {
            int[] plane = labels.plane(place[0], place[1]);
            for (int i = 0; i < used.length; i++) {
                RoiSources.Entry mark = marks.get(i);
                if (mark.at(imp, place[0], place[1])) {
                    used[i] = true;
                    mark(mark.roi, place, plane);
                }
            }
        }
        for (boolean each : used) {
            elsewhere += each ? 0 : 1;
        }
    }

    /** The ROIs with a group: those of the ROI Manager, or else of the overlay. */
    private List<RoiSources.Entry> marks() {
        RoiManager manager = GraphicsEnvironment.isHeadless() ? null : RoiManager.getInstance2();
        List<Roi> rois = new ArrayList<>();
        if (manager != null) {
            rois.addAll(Arrays.asList(manager.getRoisAsArray()));
        }
        rois.removeIf(roi -> Groups.example(roi) == 0);
        Overlay overlay = imp.getOverlay();
        if (rois.isEmpty() && overlay != null) {
            rois.addAll(Arrays.asList(overlay.toArray()));
            rois.removeIf(roi -> Groups.example(roi) == 0 || roi.getProperty(RoiSources.DRAWN) != null);
        }
        List<RoiSources.Entry> entries = new ArrayList<>();
        for (Roi roi : rois) {
            entries.add(new RoiSources.Entry(entries.size() + 1, "", roi));
        }
        return entries;
    }

    /** Marks the object below each point, or the one that has most pixels in an outline. */
    private void mark(Roi roi, int[] place, int[] plane) throws Problem {
        Point[] points = roi.getContainedPoints();
        Map<Integer, Integer> pixels = new TreeMap<>();
        for (int i = 0; i < points.length; i++) {
            boolean inside = new java.awt.Rectangle(imp.getWidth(), imp.getHeight()).contains(points[i]);
            int number = inside ? plane[points[i].y * imp.getWidth() + points[i].x] : 0;
            if (!(roi instanceof PointRoi)) {
                pixels.merge(number, 1, Integer::sum);
            } else if (at((PointRoi) roi, i, place)) {
                add(place, number, roi.getGroup());
            }
        }
        pixels.remove(0);
        if (!(roi instanceof PointRoi)) {
            int most = 0;
            for (Map.Entry<Integer, Integer> entry : pixels.entrySet()) {
                most = entry.getValue() > pixels.getOrDefault(most, 0) ? entry.getKey() : most;
            }
            add(place, most, roi.getGroup());
        }
    }

    /** True if a point was set on this slice; one without a position belongs to all. */
    private boolean at(PointRoi roi, int point, int[] place) {
        int position = roi.getPointPosition(point);
        if (position < 1 || position > imp.getStackSize()) {
            return true;
        }
        int[] own = imp.convertIndexToPosition(position);
        return own[1] == place[0] && own[2] == place[1];
    }

    private void add(int[] place, int number, int group) throws Problem {
        if (number == 0) {
            onBackground++;
            return;
        }
        Integer other = groups.put(Arrays.asList(place[0], place[1], number), group);
        if (other != null && other != group) {
            throw new Problem("The object " + number + " of the label image is marked with two groups, " + other + " and "
                    + group + ". Remove one of the two ROIs.");
        }
    }

    /** A classifier needs two classes, and two examples of each. */
    private void check(boolean labels) throws Problem {
        Map<String, Integer> counts = new TreeMap<>();
        for (int group : groups.values()) {
            counts.merge(Groups.name(group), 1, Integer::sum);
        }
        if (counts.isEmpty() && elsewhere > 0) {
            throw new Problem("The ROIs with a group (" + elsewhere + ") lie on other slices than the one that is shown. Go to "
                    + "their slice, or choose \"all\" slices.");
        }
        if (counts.isEmpty()) {
            throw new Problem((onBackground > 0 ? "No object of the label image lies below a ROI with a group."
                    : assigned > 0 ? "Only this command has given outlines a group, so that there are no examples of yours."
                    : labels ? "No ROI in the ROI Manager or overlay has a group, so that there are no examples."
                    : "No outline has a group, so that there are no examples.")
                    + "\nSelect some " + (labels ? "ROIs on objects" : "outlines") + " of each class in the ROI Manager, press "
                    + "Properties..., and set their Group: 1, 2, ...\nOr choose a saved classifier (model).");
        }
        for (Map.Entry<String, Integer> entry : counts.entrySet()) {
            if (counts.size() == 1) {
                throw new Problem("All examples (" + entry.getValue() + ") are of the group " + entry.getKey()
                        + ". Give examples of the other cells another group.");
            }
            if (entry.getValue() == 1) {
                throw new Problem("The group " + entry.getKey() + " has one example. Give two or more this group, better twenty.");
            }
        }
    }
}
