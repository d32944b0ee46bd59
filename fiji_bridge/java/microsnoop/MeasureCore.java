package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.process.ImageProcessor;
import java.awt.Rectangle;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Measures an image: no window is touched, so that it also runs headless. */
final class MeasureCore {
    private final Options options;
    private final Engine engine;
    private final Pixels pixels;
    private final ImagePlus imp;
    private final Rows rows;

    private MeasureCore(ImagePlus imp, Options options, Engine engine) throws Problem {
        this.imp = imp;
        this.options = options;
        this.engine = engine;
        pixels = new Pixels(imp, options.channels);
        rows = new Rows(Pixels.title(imp), pixels.names, engine.dimension(), options.whole(), imp.getNSlices() > 1,
                imp.getNFrames() > 1);
    }

    /** The rows of an image; nothing is written yet. */
    static Rows measure(ImagePlus imp, Options options) throws Problem {
        Objects objects = null;
        new Pixels(imp, options.channels);
        if (options.objects.equals(Options.LABEL_IMAGE)) {
            objects = new Labels(imp, options.labels);
        } else if (!options.whole()) {
            objects = new Outlines(imp, new RoiSources(imp, options.objects));
        }
        MeasureCore core = new MeasureCore(imp, options, Engine.get(Settings.load()));
        try {
            core.run(objects);
        } catch (IOException e) {
            throw new Problem("An array could not be passed to the microsnoop engine: " + e.getMessage()
                    + "\nWhat to do: is the disk of the temporary folder full? Make room, and run the command again.");
        }
        return core.rows;
    }

    /** Objects of one kind, depth by depth. */
    private interface Objects {
        /** Adds inputs of the task, whose arrays are written to files that are added to the list; false: no objects. */
        boolean prepare(Engine engine, int slice, int frame, Map<String, Object> inputs, List<File> files)
                throws IOException, Problem;

        String task();

        /** Sets name and number of the object that the engine calls by this number. */
        void describe(Rows.Row row, int objectNumber);

        /** The error when there was no object at any of the places. */
        String nothing();

        /** Why there are no objects at some of the places. */
        String others();
    }

    private void run(Objects objects) throws Problem, IOException {
        List<int[]> places = pixels.places(options.allSlices);
        int imageNumber = 0;
        for (int[] place : places) {
            List<File> files = new ArrayList<>();
            try {
                Map<String, Object> inputs = new LinkedHashMap<>();
                if (objects != null && !objects.prepare(engine, place[0], place[1], inputs, files)) {
                    continue;
                }
                imageNumber++;
                File image = engine.file("image");
                files.add(image);
                pixels.write(image, place[0], place[1]);
                inputs.put("image", npy(image));
                if (places.size() > 1) {
                    IJ.showStatus("Microsnoop: slice " + place[0] + ", frame " + place[1]);
                }
                measure(objects, place, imageNumber, inputs);
            } finally {
                for (File file : files) {
                    file.delete();
                }
            }
        }
        if (rows.rows.isEmpty() && objects != null) {
            throw new Problem(objects.nothing());
        }
        if (imageNumber < places.size()) {
            IJ.log("Microsnoop: measured " + imageNumber + " of " + places.size() + " slices of \"" + rows.image + "\": "
                    + objects.others());
        }
    }

    private void measure(Objects objects, int[] place, int imageNumber, Map<String, Object> inputs)
            throws Problem, IOException {
        if (objects == null) {
            inputs.put("mode", options.mode.equals(Options.TILE) ? "tile" : "image");
        } else {
            inputs.put("rescale_constant", options.rescaleConstant);
            inputs.put("mask", options.mode.equals(Options.MASKED) ? "object" : "box");
        }
        if (options.diameter > 0 && !options.mode.equals(Options.RESCALE)) {
            inputs.put("diameter", options.diameter);
        }
        Map<String, Object> outputs = engine.run(objects == null ? "measure_image" : objects.task(), inputs);
        float[][] features = Npy.readFloats(Engine.path(outputs, "features"));
        int[][] numbers = objects == null ? null : Npy.readInts(Engine.path(outputs, "object_number"));
        int[][] boxes = objects == null ? null : Npy.readInts(Engine.path(outputs, "box"));
        float[][] centers = objects == null ? null : Npy.readFloats(Engine.path(outputs, "center"));
        boolean[] borders = objects == null ? null : Npy.readBooleans(Engine.path(outputs, "border"));
        for (String name : outputs.keySet()) {
            Object path = Engine.map(outputs.get(name)).get("npy");
            if (path != null) {
                new File(path.toString()).delete();
            }
        }
        for (int i = 0; i < features.length; i++) {
            Rows.Row row = new Rows.Row();
            row.slice = place[0];
            row.frame = place[1];
            row.imageNumber = imageNumber;
            row.features = features[i];
            if (objects != null) {
                objects.describe(row, numbers[i][0]);
                row.box = boxes[i];
                row.centerY = centers[i][0];
                row.centerX = centers[i][1];
                row.border = borders[i];
            }
            rows.rows.add(row);
        }
        Object failed = outputs.get("failed");
        if (failed instanceof List && !((List<?>) failed).isEmpty()) {
            rows.failed += ((List<?>) failed).size();
            rows.firstReason = String.valueOf(Engine.map(((List<?>) failed).get(0)).get("reason"));
        }
    }

    static Map<String, Object> npy(File file) {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("npy", file.getPath());
        return value;
    }

    /** Pixels of all boxes: more than an int can count where there are thousands of large outlines. */
    static long area(List<Rectangle> boxes) {
        long area = 0;
        for (Rectangle box : boxes) {
            area += (long) box.width * box.height;
        }
        return area;
    }

    /** Outlines: a box and a mask each, as ImageJ fills them. */
    private static final class Outlines implements Objects {
        private final ImagePlus imp;
        private final RoiSources sources;
        private List<RoiSources.Entry> here;

        Outlines(ImagePlus imp, RoiSources sources) {
            this.imp = imp;
            this.sources = sources;
            if (!sources.leftOut.isEmpty()) {
                IJ.log("Microsnoop: left out, because without area: " + String.join(", ", sources.leftOut));
            }
        }

        @Override
        public String task() {
            return "measure_rois";
        }

        @Override
        public boolean prepare(Engine engine, int slice, int frame, Map<String, Object> inputs, List<File> files)
                throws IOException {
            here = sources.at(imp, slice, frame);
            if (here.isEmpty()) {
                return false;
            }
            File boxFile = engine.file("boxes");
            File maskFile = engine.file("masks");
            files.add(boxFile);
            files.add(maskFile);
            List<Rectangle> boxes = new ArrayList<>();
            for (RoiSources.Entry entry : here) {
                boxes.add(entry.roi.getBounds());
            }
            try (Npy npy = new Npy(boxFile, "i4", boxes.size(), 4)) {
                for (Rectangle box : boxes) {
                    npy.ints(new int[] {box.y, box.x, box.y + box.height, box.x + box.width});
                }
            }
            try (Npy npy = new Npy(maskFile, "u1", area(boxes))) {
                for (RoiSources.Entry entry : here) {
                    write(npy, entry.roi);
                }
            }
            inputs.put("boxes", npy(boxFile));
            inputs.put("masks", npy(maskFile));
            return true;
        }

        /** The pixels of an outline in its box; a rectangle has no mask, all its pixels are inside. */
        private static void write(Npy npy, Roi roi) throws IOException {
            ImageProcessor mask = roi.getMask();
            if (mask != null) {
                npy.bytes((byte[]) mask.getPixels());
                return;
            }
            Rectangle box = roi.getBounds();
            byte[] row = new byte[box.width];
            Arrays.fill(row, (byte) 1);
            for (int y = 0; y < box.height; y++) {
                npy.bytes(row);
            }
        }

        @Override
        public void describe(Rows.Row row, int objectNumber) {
            RoiSources.Entry entry = here.get(objectNumber - 1);
            row.number = entry.number;
            row.name = entry.name;
            row.roi = entry.roi;
            row.group = entry.roi.getGroup();
            row.properties = entry.properties();
        }

        @Override
        public String nothing() {
            return "None of the ROIs (" + sources.entries.size() + ") belongs to the slice that is shown. Go to their slice, "
                    + "choose \"all\" slices, or remove their positions (ROI Manager: More > Remove Positions).";
        }

        @Override
        public String others() {
            return "no ROI has its position on the others. ROIs without positions (ROI Manager: More > Remove Positions) "
                    + "are measured on every slice.";
        }
    }

    /** The numbers of a label image. */
    private static final class Labels implements Objects {
        private final LabelImage labels;

        Labels(ImagePlus imp, String title) throws Problem {
            labels = new LabelImage(imp, title);
        }

        @Override
        public String task() {
            return "measure_objects";
        }

        @Override
        public boolean prepare(Engine engine, int slice, int frame, Map<String, Object> inputs, List<File> files)
                throws IOException, Problem {
            int[] plane = labels.plane(slice, frame);
            boolean any = false;
            for (int value : plane) {
                any |= value != 0;
            }
            if (any) {
                File file = engine.file("labels");
                files.add(file);
                try (Npy npy = new Npy(file, "i4", labels.imp.getHeight(), labels.imp.getWidth())) {
                    npy.ints(plane);
                }
                inputs.put("labels", npy(file));
            }
            return any;
        }

        @Override
        public void describe(Rows.Row row, int objectNumber) {
            row.number = objectNumber;
            row.name = Integer.toString(objectNumber);
        }

        @Override
        public String nothing() {
            return "The label image \"" + labels.imp.getTitle() + "\" is empty: all its pixels are 0 (background). Choose "
                    + "another, or check the segmentation.";
        }

        @Override
        public String others() {
            return "the label image has no objects on the others.";
        }
    }
}
