package microsnoop;

import ij.ImagePlus;
import ij.gui.DialogListener;
import ij.gui.GenericDialog;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.io.SaveDialog;
import ij.plugin.frame.Recorder;
import ij.plugin.frame.RoiManager;
import java.awt.AWTEvent;
import java.awt.Button;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.FlowLayout;
import java.awt.Panel;
import java.awt.TextField;
import java.awt.event.ActionEvent;
import java.awt.event.ActionListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Vector;

/** Asks the user for the options; those that do not apply to the chosen objects are grayed out. */
final class MeasureDialog implements DialogListener, ActionListener {
    private static Options last = new Options();

    private final ImagePlus imp;
    private final GenericDialog dialog = new GenericDialog("Measure Microsnoop Features");
    private final boolean stack;
    private TextField csv;

    private MeasureDialog(ImagePlus imp) {
        this.imp = imp;
        stack = imp.getNSlices() > 1 || imp.getNFrames() > 1;
    }

    /** The options of the user; null if the dialog was cancelled. */
    static Options ask(ImagePlus imp) throws Problem {
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            return new MeasureDialog(imp).ask();
        } finally {
            Recorder.record = recording;
        }
    }

    private Options ask() throws Problem {
        List<String> labels = new ArrayList<>();
        for (ImagePlus other : LabelImage.candidates(imp)) {
            labels.add(other.getTitle());
        }
        if (labels.isEmpty()) {
            labels.add("(no other image of this size)");
        }
        dialog.addChoice("Objects:", Options.SOURCES.toArray(new String[0]), available());
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
        dialog.addChoice("Whole image:", new String[] {Options.TILE, Options.RESCALE}, last.mode);
        if (stack) {
            dialog.addChoice("Slices:", new String[] {"current", "all"}, last.allSlices ? "all" : "current");
        }
        dialog.addNumericField("Clusters:", last.cluster, 0, 6, "0: none");
        dialog.addCheckbox("Overlay colored by cluster", last.overlay);
        dialog.addStringField("Table:", last.table, 22);
        dialog.addCheckbox("Clear the table first", last.clear);
        dialog.addStringField("File (.csv or .parquet):", last.csv, 22);
        csv = (TextField) dialog.getStringFields().lastElement();
        Panel panel = new Panel(new FlowLayout(FlowLayout.RIGHT, 0, 0));
        Button browse = new Button("Choose file...");
        browse.addActionListener(this);
        panel.add(browse);
        dialog.addPanel(panel, java.awt.GridBagConstraints.EAST, new java.awt.Insets(0, 0, 0, 0));
        dialog.addCheckbox("Append to the file", last.append);
        dialog.addHelp(HelpCommand.TEXT);
        dialog.addDialogListener(this);
        gray();
        dialog.showDialog();
        if (dialog.wasCanceled()) {
            return null;
        }
        Options options = read();
        last = options;
        return options;
    }

    private Options read() throws Problem {
        Options options = new Options();
        options.objects = dialog.getNextChoice();
        String label = dialog.getNextChoice();
        options.labels = options.objects.equals(Options.LABEL_IMAGE) && !label.startsWith("(") ? label : "";
        options.channels = dialog.getNextString().trim();
        String shown = dialog.getNextChoice();
        options.rescaleConstant = dialog.getNextNumber();
        options.diameter = dialog.getNextNumber();
        String whole = dialog.getNextChoice();
        options.mode = options.whole() ? whole : shown;
        options.allSlices = stack && dialog.getNextChoice().equals("all");
        options.cluster = (int) dialog.getNextNumber();
        options.overlay = dialog.getNextBoolean() && options.cluster > 0;
        options.table = dialog.getNextString().trim();
        options.clear = dialog.getNextBoolean();
        options.csv = dialog.getNextString().trim();
        options.append = dialog.getNextBoolean();
        if (dialog.invalidNumber() || !(options.rescaleConstant >= 0.1 && options.rescaleConstant <= 20)) {
            throw new Problem("The rescale constant must be a number from 0.1 to 20: 2.0 suits nuclei, 0.6 whole cells.");
        }
        if (!(options.diameter == 0 || options.diameter >= 1 && options.diameter <= 10000)) {
            throw new Problem("The typical diameter must be a number of pixels from 1 to 10000, or 0 to fit every box.");
        }
        options.check();
        return options;
    }

    /** The objects that are there, those chosen last if possible. */
    private String available() {
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
        return there.contains(last.objects) ? last.objects : there.get(0);
    }

    @Override
    public boolean dialogItemChanged(GenericDialog changed, AWTEvent event) {
        gray();
        return true;
    }

    private void gray() {
        Vector<?> choices = dialog.getChoices();
        String objects = ((Choice) choices.get(0)).getSelectedItem();
        boolean whole = objects.equals(Options.WHOLE_IMAGE);
        ((Choice) choices.get(1)).setEnabled(objects.equals(Options.LABEL_IMAGE));
        ((Choice) choices.get(2)).setEnabled(!whole);
        ((Choice) choices.get(3)).setEnabled(whole);
        ((TextField) dialog.getNumericFields().get(0)).setEnabled(!whole);
        ((Checkbox) dialog.getCheckboxes().get(0)).setEnabled(!whole);
    }

    @Override
    public void actionPerformed(ActionEvent event) {
        SaveDialog save = new SaveDialog("File for the features", imp.getShortTitle() + "-microsnoop", ".csv");
        if (save.getFileName() != null) {
            csv.setText(save.getDirectory() + save.getFileName());
        }
    }
}
