package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Classes of rows, which the engine learns from examples or by a saved classifier. */
final class Classification {
    private final ClassifyOptions options;
    private final Engine engine;
    /** Null where a saved classifier is applied. */
    private final Examples examples;

    /** Checks examples or classifier before anything is measured. */
    Classification(ImagePlus imp, ClassifyOptions options) throws Problem {
        this.options = options;
        examples = options.model.isEmpty() ? new Examples(imp, options.measure) : null;
        Pixels pixels = new Pixels(imp, options.measure.channels);
        engine = Engine.get(Settings.load());
        if (examples == null) {
            Map<String, Object> inputs = new LinkedHashMap<>();
            inputs.put("path", new File(options.model).getAbsolutePath());
            inputs.put("channels", Arrays.asList(pixels.names));
            inputs.put("crops", crops());
            engine.run("check_classifier", inputs);
        }
    }

    /** Settings by which objects look alike only if they are equal. */
    private Map<String, Object> crops() {
        Map<String, Object> crops = new LinkedHashMap<>();
        crops.put("rescale_constant", options.measure.rescaleConstant);
        crops.put("mask", options.measure.mode.equals(Options.MASKED) ? "object" : "box");
        crops.put("diameter", options.measure.diameter);
        return crops;
    }

    /** Gives rows their classes; how well it does on examples that were held out comes back, blank if not known. */
    String classify(Rows rows) throws Problem {
        Map<String, Object> inputs = new LinkedHashMap<>();
        inputs.put("channels", Arrays.asList(rows.channels));
        inputs.put("crops", crops());
        if (examples == null) {
            inputs.put("classifier", new File(options.model).getAbsolutePath());
        } else {
            inputs.put("examples", label(rows));
            inputs.put("objects", options.measure.name);
            if (!options.save.isEmpty()) {
                inputs.put("save", new File(options.save).getAbsolutePath());
            }
        }
        List<File> files = new ArrayList<>();
        try {
            files.add(Output.writeFloats(engine, "features", rows.features()));
            inputs.put("features", MeasureCore.npy(files.get(0)));
            if (examples != null) {
                files.add(writeImageNumbers(rows));
                inputs.put("image_number", MeasureCore.npy(files.get(1)));
            }
            IJ.showStatus("Microsnoop: classifying");
            return read(engine.run("classify", inputs), rows, files);
        } catch (IOException e) {
            throw new Problem("An array could not be passed to the microsnoop engine: " + e.getMessage()
                    + "\nWhat to do: is the disk of the temporary folder full? Make room, and run the command again.");
        } finally {
            for (File file : files) {
                file.delete();
            }
        }
    }

    private List<Object> label(Rows rows) {
        List<Object> labels = new ArrayList<>();
        for (Rows.Row row : rows.rows) {
            row.label = examples.of(row);
            row.group = row.roi == null ? examples.group(row) : row.group;
            labels.add(row.label);
        }
        return labels;
    }

    private File writeImageNumbers(Rows rows) throws IOException {
        int[] numbers = new int[rows.rows.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = rows.rows.get(i).imageNumber;
        }
        File file = engine.file("image_number");
        try (Npy npy = new Npy(file, "i4", numbers.length)) {
            npy.ints(numbers);
        }
        return file;
    }

    private String read(Map<String, Object> outputs, Rows rows, List<File> files) throws Problem, IOException {
        File numbers = Engine.path(outputs, "class");
        File probabilities = Engine.path(outputs, "probabilities");
        files.add(numbers);
        files.add(probabilities);
        int[][] found = Npy.readInts(numbers);
        float[][] chances = Npy.readFloats(probabilities);
        for (int i = 0; i < found.length; i++) {
            rows.rows.get(i).classNumber = found[i][0];
            rows.rows.get(i).probabilities = chances[i];
        }
        rows.classes = texts(outputs, "classes");
        for (String warning : texts(outputs, "warnings")) {
            IJ.log("Microsnoop: " + warning);
        }
        if (examples != null) {
            IJ.log("Microsnoop: " + String.join("\n  ", texts(outputs, "training")));
        }
        if (!options.save.isEmpty()) {
            IJ.log("Microsnoop: saved the classifier: " + new File(options.save).getAbsolutePath());
        }
        Object accuracy = outputs.get("accuracy");
        return accuracy == null ? "" : accuracy.toString();
    }

    private static List<String> texts(Map<String, Object> outputs, String name) {
        List<String> texts = new ArrayList<>();
        if (outputs.get(name) instanceof List) {
            for (Object text : (List<?>) outputs.get(name)) {
                texts.add(String.valueOf(text));
            }
        }
        return texts;
    }
}
