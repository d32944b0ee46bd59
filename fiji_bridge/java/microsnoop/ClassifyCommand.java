package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.measure.ResultsTable;
import java.util.Map;

/** Plugins > Microsnoop > Classify Cells: outlines with a group are examples, and all others get a class. */
public class ClassifyCommand extends ImageCommand<ClassifyOptions> {
    @Override
    ClassifyOptions parse(String text) throws Problem {
        return ClassifyOptions.parse(text);
    }

    @Override
    ClassifyOptions ask(ImagePlus imp) throws Problem {
        return ClassifyDialog.ask(imp);
    }

    @Override
    Map<String, String> words(ClassifyOptions options) {
        return options.recorded();
    }

    @Override
    ResultsTable execute(ImagePlus imp, ClassifyOptions options) throws Problem {
        Output.check(options.measure);
        Output.checkFolder(options.save);
        Classification classification = new Classification(imp, options);
        Rows rows = MeasureCore.measure(imp, options.measure);
        String accuracy = classification.classify(rows);
        ResultsTable table = Output.write(rows, options.measure, imp);
        rows.logFailed();
        Groups groups = new Groups(rows.classes);
        if (options.overlay) {
            ColoredOverlay.draw(rows, options.measure, imp, row -> groups.color(rows.classOf(row)));
        }
        if (options.setGroups) {
            groups.set(rows);
            imp.draw();
        }
        String sentence = groups.counts(rows) + (accuracy.isEmpty() ? "" : "; " + accuracy);
        IJ.log("Microsnoop: \"" + rows.image + "\": " + sentence);
        IJ.showProgress(1.0);
        IJ.showStatus("Microsnoop: " + sentence);
        return table;
    }

    /** For scripts, in Fiji and headless: as the macro call with the same options, but errors are exceptions. */
    public static ResultsTable classify(ImagePlus imp, String options) throws Problem {
        return new ClassifyCommand().executeUnrecorded(imp, ClassifyOptions.parse(options));
    }

    /**
     * For macros without any window: call("microsnoop.ClassifyCommand.macro", "objects=[Overlay] ...").
     *
     * @return "" or the error
     */
    public static String macro(String options) {
        return new ClassifyCommand().call(options);
    }
}
