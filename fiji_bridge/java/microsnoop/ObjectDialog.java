package microsnoop;

import ij.ImagePlus;
import ij.gui.DialogListener;
import ij.gui.GenericDialog;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.io.SaveDialog;
import ij.plugin.frame.RoiManager;
import java.awt.AWTEvent;
import java.awt.Button;
import java.awt.Choice;
import java.awt.FlowLayout;
import java.awt.GridBagConstraints;
import java.awt.Insets;
import java.awt.Panel;
import java.awt.TextField;
import java.util.ArrayList;
import java.util.List;

/** What the dialogs of commands that measure objects share; fields that do not apply to the chosen objects are grayed out. */
abstract class ObjectDialog implements DialogListener {
    final ImagePlus imp;
    final GenericDialog dialog;
    private final boolean stack;

    ObjectDialog(ImagePlus imp, String title) {
        this.imp = imp;
        stack = imp.getNSlices() > 1 || imp.getNFrames() > 1;
        dialog = new GenericDialog(title);
    }

    /** Grays out what does not apply to the chosen objects. */
    abstract void gray(String objects);

    /** Adds the choice of objects, channels and boxes. */
    final void addObjects(Options last, List<String> sources) {
        List<String> labels = new ArrayList<>();
        for (ImagePlus other : LabelImage.candidates(imp)) {
            labels.add(other.getTitle());
        }
        if (labels.isEmpty()) {
            labels.add("(no other image of this size)");
        }
        dialog.addChoice("Objects:", sources.toArray(new String[0]), available(last, sources));
        dialog.addChoice("Label image:", labels.toArray(new String[0]), last.labels);
        dialog.addStringField("Channels:", last.channels, 22);
        String[] names = Pixels.names(imp);
        StringBuilder list = new StringBuilder();
        for (int i = 0; i < names.length && i < 8; i++) {
            list.append(i == 0 ? "" : ",  ").append(i + 1).append(" ").append(names[i]);
        }
        dialog.setInsets(0, 20, 0);
        dialog.addMessage("all, or some of:  " + list + (names.length > 8 ? ", ..." : ""));
        dialog.addChoice("What to show the network:", new String[] {Options.BOX, Options.MASKED}, last.mode);
        dialog.addNumericField("Rescale constant:", last.rescaleConstant, 1, 6, "2.0 nuclei, 0.6 whole cells");
        dialog.addNumericField("Typical diameter:", last.diameter, 1, 6, "pixels; 0: fit every box");
    }

    final void addSlices(Options last) {
        if (stack) {
            dialog.addChoice("Slices:", new String[] {"current", "all"}, last.allSlices ? "all" : "current");
        }
    }

    /** Adds the table and the file for the rows. */
    final void addOutput(Options last) {
        dialog.addStringField("Table:", last.table, 22);
        dialog.addCheckbox("Clear the table first", last.clear);
        addSave("File (.csv or .parquet):", last.csv, "microsnoop", ".csv");
        dialog.addCheckbox("Append to the file", last.append);
    }

    /** Adds a field for a file to write, with a button that chooses it. */
    final void addSave(String label, String path, String suffix, String ending) {
        dialog.addStringField(label, path, 22);
        final TextField field = (TextField) dialog.getStringFields().lastElement();
        Panel panel = new Panel(new FlowLayout(FlowLayout.RIGHT, 0, 0));
        Button browse = new Button("Choose file...");
        browse.addActionListener(event -> {
            SaveDialog save = new SaveDialog("Choose a file", imp.getShortTitle() + "-" + suffix, ending);
            if (save.getFileName() != null) {
                field.setText(save.getDirectory() + save.getFileName());
            }
        });
        panel.add(browse);
        dialog.addPanel(panel, GridBagConstraints.EAST, new Insets(0, 0, 0, 0));
    }

    /** Shows the dialog; false if it was cancelled. */
    final boolean show() {
        dialog.addHelp(HelpCommand.TEXT);
        dialog.addDialogListener(this);
        gray(objects());
        dialog.showDialog();
        return !dialog.wasCanceled();
    }

    /** Reads what addObjects added. */
    final void readObjects(Options options) {
        options.objects = dialog.getNextChoice();
        String label = dialog.getNextChoice();
        options.labels = options.objects.equals(Options.LABEL_IMAGE) && !label.startsWith("(") ? label : "";
        options.channels = dialog.getNextString().trim();
        options.mode = dialog.getNextChoice();
        options.rescaleConstant = dialog.getNextNumber();
        options.diameter = dialog.getNextNumber();
    }

    final void readSlices(Options options) {
        options.allSlices = stack && dialog.getNextChoice().equals("all");
    }

    final void readOutput(Options options) {
        options.table = dialog.getNextString().trim();
        options.clear = dialog.getNextBoolean();
        options.csv = dialog.getNextString().trim();
        options.append = dialog.getNextBoolean();
    }

    /** Refuses numbers that are none, or too small or large. */
    final void checkNumbers(Options options) throws Problem {
        if (dialog.invalidNumber() || !(options.rescaleConstant >= 0.1 && options.rescaleConstant <= 20)) {
            throw new Problem("The rescale constant must be a number from 0.1 to 20: 2.0 suits nuclei, 0.6 whole cells.");
        }
        if (!(options.diameter == 0 || options.diameter >= 1 && options.diameter <= 10000)) {
            throw new Problem("The typical diameter must be a number of pixels from 1 to 10000, or 0 to fit every box.");
        }
        options.check();
    }

    /** The objects that are there, those chosen last if possible. */
    private String available(Options last, List<String> sources) {
        Overlay overlay = imp.getOverlay();
        Roi roi = imp.getRoi();
        RoiManager manager = RoiManager.getInstance2();
        List<String> there = new ArrayList<>();
        if (manager != null && manager.getCount() > 0) {
            there.add(Options.ROI_MANAGER);
        }
        if (overlay != null && overlay.size() > 0) {
            there.add(Options.OVERLAY);
        }
        if (roi != null && roi.isArea()) {
            there.add(Options.SELECTION);
        }
        if (last.objects.equals(Options.LABEL_IMAGE) && !LabelImage.candidates(imp).isEmpty()) {
            there.add(Options.LABEL_IMAGE);
        }
        there.add(Options.WHOLE_IMAGE);
        there.retainAll(sources);
        return there.isEmpty() ? sources.get(0) : there.contains(last.objects) ? last.objects : there.get(0);
    }

    @Override
    public final boolean dialogItemChanged(GenericDialog changed, AWTEvent event) {
        gray(objects());
        return true;
    }

    private String objects() {
        Choice choice = (Choice) dialog.getChoices().get(0);
        ((Choice) dialog.getChoices().get(1)).setEnabled(choice.getSelectedItem().equals(Options.LABEL_IMAGE));
        return choice.getSelectedItem();
    }
}
