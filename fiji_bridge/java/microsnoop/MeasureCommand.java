package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.measure.ResultsTable;
import java.util.Map;

/** Plugins > Microsnoop > Measure Microsnoop Features. */
public class MeasureCommand extends ImageCommand<Options> {
    @Override
    Options parse(String text) throws Problem {
        return Options.parse(text);
    }

    @Override
    Options ask(ImagePlus imp) throws Problem {
        return MeasureDialog.ask(imp);
    }

    @Override
    Map<String, String> words(Options options) {
        return options.recorded();
    }

    @Override
    ResultsTable execute(ImagePlus imp, Options options) throws Problem {
        long began = System.currentTimeMillis();
        Output.check(options);
        Rows rows = MeasureCore.measure(imp, options);
        ResultsTable table = Output.write(rows, options, imp);
        rows.logFailed();
        IJ.showProgress(1.0);
        IJ.showStatus("Microsnoop: " + rows.rows.size() + " rows x " + rows.channels.length * rows.dimension
                + " features in " + IJ.d2s((System.currentTimeMillis() - began) / 1000.0, 1) + " s");
        return table;
    }

    /** For scripts, in Fiji and headless: as the macro call with the same options, but errors are exceptions. */
    public static ResultsTable measure(ImagePlus imp, String options) throws Problem {
        return new MeasureCommand().executeUnrecorded(imp, Options.parse(options));
    }

    /**
     * For macros without any window: call("microsnoop.MeasureCommand.macro", "objects=[Overlay] ...").
     *
     * @return "" or the error
     */
    public static String macro(String options) {
        return new MeasureCommand().call(options);
    }
}
