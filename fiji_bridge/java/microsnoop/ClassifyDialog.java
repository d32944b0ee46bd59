package microsnoop;

import ij.ImagePlus;
import java.awt.Checkbox;

/** Asks the user how to classify. */
final class ClassifyDialog extends ObjectDialog {
    private static ClassifyOptions last = initial();

    private ClassifyDialog(ImagePlus imp) {
        super(imp, "Classify Cells");
        dialog.addMessage("Give some outlines of each class a group (Properties... in the ROI Manager): 1, 2, ...\n"
                + "All others get the class that they resemble, with its probability.");
        addObjects(last.measure, ClassifyOptions.SOURCES);
        addSlices(last.measure);
        dialog.addFileField("Saved classifier, if any:", last.model, 22);
        addSave("Save the classifier as:", last.save, "classifier", ClassifyOptions.ENDING);
        dialog.addCheckbox("Overlay in the colors of the groups", last.overlay);
        dialog.addCheckbox("Put the class into the group of outlines without one", last.setGroups);
        addOutput(last.measure);
    }

    private static ClassifyOptions initial() {
        ClassifyOptions options = new ClassifyOptions();
        options.overlay = true;
        return options;
    }

    /** The options of the user; null if the dialog was cancelled. */
    static ClassifyOptions ask(ImagePlus imp) throws Problem {
        ClassifyDialog asked = new ClassifyDialog(imp);
        if (!asked.show()) {
            return null;
        }
        last = asked.read();
        return last;
    }

    private ClassifyOptions read() throws Problem {
        ClassifyOptions options = new ClassifyOptions();
        readObjects(options.measure);
        readSlices(options.measure);
        options.model = dialog.getNextString().trim();
        options.save = dialog.getNextString().trim();
        options.overlay = dialog.getNextBoolean();
        options.setGroups = dialog.getNextBoolean() && !options.measure.objects.equals(Options.LABEL_IMAGE);
        readOutput(options.measure);
        checkNumbers(options.measure);
        options.check();
        return options;
    }

    @Override
    void gray(String objects) {
        ((Checkbox) dialog.getCheckboxes().get(1)).setEnabled(!objects.equals(Options.LABEL_IMAGE));
    }
}
