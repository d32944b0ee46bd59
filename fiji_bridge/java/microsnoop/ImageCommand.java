package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.measure.ResultsTable;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * A command on the current image: its options come from a macro or from a dialog, whose answers are recorded.
 *
 * @param <O> the options
 */
abstract class ImageCommand<O> implements PlugIn {
    private static final List<String> PATHS = Arrays.asList("csv", "model", "save");

    abstract O parse(String text) throws Problem;

    /** @return null if the dialog was cancelled */
    abstract O ask(ImagePlus imp) throws Problem;

    /** The words of a macro; those without value are null. */
    abstract Map<String, String> words(O options);

    /** Does the work; the table comes back. */
    abstract ResultsTable execute(ImagePlus imp, O options) throws Problem;

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
            O options;
            if (text != null || Reporter.unattended()) {
                options = parse(text == null ? "" : text);
            } else {
                options = askUnrecorded(imp);
                if (options == null) {
                    return;
                }
                record(options);
            }
            executeUnrecorded(imp, options);
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        }
    }

    /** The fields of a dialog would record themselves, by other names. */
    private O askUnrecorded(ImagePlus imp) throws Problem {
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            return ask(imp);
        } finally {
            Recorder.record = recording;
        }
    }

    /** What ImageJ's own commands would record on the way is no command of the user. */
    final ResultsTable executeUnrecorded(ImagePlus imp, O options) throws Problem {
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            return execute(imp, options);
        } finally {
            Recorder.record = recording;
        }
    }

    /** @return "" or the error */
    final String call(String options) {
        try {
            ImagePlus imp = WindowManager.getCurrentImage();
            if (imp == null) {
                throw new Problem("There is no image open.");
            }
            executeUnrecorded(imp, parse(options));
            return "";
        } catch (Throwable error) {
            String message = Reporter.message(error);
            IJ.log("Microsnoop: " + message);
            return message;
        }
    }

    private void record(O options) {
        if (!Recorder.record) {
            return;
        }
        for (Map.Entry<String, String> word : words(options).entrySet()) {
            if (word.getValue() == null) {
                Recorder.recordOption(word.getKey());
            } else if (PATHS.contains(word.getKey())) {
                Recorder.recordPath(word.getKey(), word.getValue());
            } else {
                Recorder.recordOption(word.getKey(), word.getValue());
            }
        }
    }
}
