package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.measure.ResultsTable;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import java.util.Map;

/** Plugins > Microsnoop > Measure Microsnoop Features. */
public class MeasureCommand implements PlugIn {
    @Override
    public void run(String argument) {
        boolean interactive = Reporter.interactive();
        IJ.resetEscape();
        try {
            ImagePlus imp = WindowManager.getCurrentImage();
            if (imp == null) {
                throw new Problem("There is no image open. Open one with File > Open, and run this command again.");
            }
            String text = Macro.getOptions();
            Options options;
            if (text != null || Reporter.unattended()) {
                options = Options.parse(text == null ? "" : text);
            } else {
                options = MeasureDialog.ask(imp);
                if (options == null) {
                    return;
                }
                record(options);
            }
            measure(imp, options);
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        }
    }

    /** Measures an image and writes the rows where the options say; the table comes back. */
    static ResultsTable measure(ImagePlus imp, Options options) throws Problem {
        long began = System.currentTimeMillis();
        Output.check(options);
        boolean recording = Recorder.record;
        Recorder.record = false;
        Rows rows;
        ResultsTable table;
        try {
            rows = MeasureCore.measure(imp, options);
            table = Output.write(rows, options, imp);
        } finally {
            Recorder.record = recording;
        }
        if (rows.failed > 0) {
            IJ.log("Microsnoop: " + rows.failed + " crops of \"" + rows.image
                    + "\" could not be measured and are NaN; the first because: " + rows.firstReason);
        }
        IJ.showProgress(1.0);
        IJ.showStatus("Microsnoop: " + rows.rows.size() + " rows x " + rows.channels.length * rows.dimension
                + " features in " + IJ.d2s((System.currentTimeMillis() - began) / 1000.0, 1) + " s");
        return table;
    }

    /** For scripts, in Fiji and headless: as the macro call with the same options, but errors are exceptions. */
    public static ResultsTable measure(ImagePlus imp, String options) throws Problem {
        return measure(imp, Options.parse(options));
    }

    /**
     * For macros without any window: call("microsnoop.MeasureCommand.macro", "objects=[Overlay] ...").
     *
     * @return "" or the error
     */
    public static String macro(String options) {
        try {
            ImagePlus imp = WindowManager.getCurrentImage();
            if (imp == null) {
                throw new Problem("There is no image open.");
            }
            measure(imp, Options.parse(options));
            return "";
        } catch (Throwable error) {
            String message = Reporter.message(error);
            IJ.log("Microsnoop: " + message);
            return message;
        }
    }

    private static void record(Options options) {
        if (!Recorder.record) {
            return;
        }
        for (Map.Entry<String, String> word : options.recorded().entrySet()) {
            if (word.getValue() == null) {
                Recorder.recordOption(word.getKey());
            } else if (word.getKey().equals("csv")) {
                Recorder.recordPath(word.getKey(), word.getValue());
            } else {
                Recorder.recordOption(word.getKey(), word.getValue());
            }
        }
    }
}
