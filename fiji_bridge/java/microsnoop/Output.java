package microsnoop;

import ij.ImagePlus;
import ij.measure.ResultsTable;
import java.io.File;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes rows: into a table of ImageJ, into a file through the engine, as clusters into an overlay. */
final class Output {
    private Output() {}

    static void check(Options options) throws Problem {
        checkFolder(options.csv);
    }

    /** @param path of a file to write; blank: none */
    static void checkFolder(String path) throws Problem {
        File folder = path.isEmpty() ? null : new File(path).getAbsoluteFile().getParentFile();
        if (folder != null && !folder.isDirectory()) {
            throw new Problem("The file \"" + path + "\" cannot be written: there is no folder \"" + folder
                    + "\". Make it, or choose another.");
        }
    }

    /** @return the table */
    static ResultsTable write(Rows rows, Options options, ImagePlus imp) throws Problem {
        try {
            if (options.cluster > 0) {
                cluster(rows, options.cluster);
            }
            if (options.overlay) {
                ColoredOverlay.draw(rows, options, imp, row -> ColoredOverlay.color(row.cluster));
            }
            ResultsTable table = ResultTables.write(rows, options);
            if (!options.csv.isEmpty()) {
                TableFile.write(rows, options);
            }
            return table;
        } catch (IOException e) {
            throw new Problem("An array could not be passed to the microsnoop engine: " + e.getMessage()
                    + "\nWhat to do: is the disk of the temporary folder full? Make room, and run the command again.");
        }
    }

    private static void cluster(Rows rows, int count) throws Problem, IOException {
        Engine engine = Engine.get(Settings.load());
        File features = writeFloats(engine, "features", rows.features());
        try {
            Map<String, Object> inputs = new LinkedHashMap<>();
            inputs.put("features", MeasureCore.npy(features));
            inputs.put("clusters", count);
            File found = Engine.path(engine.run("cluster", inputs), "cluster");
            int[][] clusters = Npy.readInts(found);
            found.delete();
            for (int i = 0; i < clusters.length; i++) {
                rows.rows.get(i).cluster = clusters[i][0];
            }
        } finally {
            features.delete();
        }
    }

    static File writeFloats(Engine engine, String name, float[][] rows) throws IOException {
        File file = engine.file(name);
        try (Npy npy = new Npy(file, "f4", rows.length, rows[0].length)) {
            for (float[] row : rows) {
                npy.floats(row);
            }
        }
        return file;
    }
}
