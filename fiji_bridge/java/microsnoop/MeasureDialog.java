package microsnoop;

import ij.ImagePlus;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.TextField;
import java.util.Vector;

/** Asks the user how to measure. */
final class MeasureDialog extends ObjectDialog {
    private static Options last = new Options();

    private MeasureDialog(ImagePlus imp) {
        super(imp, "Measure Microsnoop Features");
        addObjects(last, Options.SOURCES);
        dialog.addChoice("Whole image:", new String[] {Options.TILE, Options.RESCALE}, last.mode);
        addSlices(last);
        dialog.addNumericField("Clusters:", last.cluster, 0, 6, "0: none");
        dialog.addCheckbox("Overlay colored by cluster", last.overlay);
        addOutput(last);
    }

    /** The options of the user; null if the dialog was cancelled. */
    static Options ask(ImagePlus imp) throws Problem {
        MeasureDialog asked = new MeasureDialog(imp);
        if (!asked.show()) {
            return null;
        }
        last = asked.read();
        return last;
    }

    private Options read() throws Problem {
        Options options = new Options();
        readObjects(options);
        String whole = dialog.getNextChoice();
        options.mode = options.whole() ? whole : options.mode;
        readSlices(options);
        options.cluster = (int) dialog.getNextNumber();
        options.overlay = dialog.getNextBoolean() && options.cluster > 0;
        readOutput(options);
        checkNumbers(options);
        return options;
    }

    @Override
    void gray(String objects) {
        Vector<?> choices = dialog.getChoices();
        boolean whole = objects.equals(Options.WHOLE_IMAGE);
        ((Choice) choices.get(2)).setEnabled(!whole);
        ((Choice) choices.get(3)).setEnabled(whole);
        ((TextField) dialog.getNumericFields().get(0)).setEnabled(!whole);
        ((Checkbox) dialog.getCheckboxes().get(0)).setEnabled(!whole);
    }
}
