package microsnoop;

import ij.IJ;
import ij.Macro;
import ij.gui.GenericDialog;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import ij.plugin.frame.RoiManager;
import java.awt.GraphicsEnvironment;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;
import java.util.Map;

/** Plugins > Microsnoop > Measure Folder: the example macro for folders, which is part of the jar, behind a dialog. */
public class FolderCommand implements PlugIn {
    static final String SCRIPT = "/measure_folder.ijm";
    private static final String[] KEYS = {"images", "results", "channel"};
    private static String lastImages = "";
    private static String lastResults = "";
    private static String lastChannel = "DNA";

    @Override
    public void run(String argument) {
        boolean interactive = Reporter.interactive();
        IJ.resetEscape();
        try {
            String text = Macro.getOptions();
            if (text == null && !Reporter.unattended()) {
                if (!ask()) {
                    return;
                }
                measure(lastImages, lastResults, lastChannel);
            } else {
                Map<String, String> words =
                        Options.words(text == null ? "" : text, KEYS, Collections.<String>emptyList());
                measure(words.getOrDefault("images", ""), words.getOrDefault("results", ""),
                        words.getOrDefault("channel", lastChannel));
            }
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        }
    }

    private static boolean ask() {
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            GenericDialog dialog = new GenericDialog("Measure Folder");
            dialog.addDirectoryField("Folder with the images:", lastImages, 40);
            dialog.addDirectoryField("Folder for the results:", lastResults, 40);
            dialog.addStringField("Channel of the nuclei:", lastChannel, 12);
            dialog.addMessage("Finds the nuclei of every TIFF image (Otsu's threshold), and measures them in all channels:\n"
                    + "cells.csv, labels and ROIs. The channel is a name or a number. Files may hold one channel each,\n"
                    + "named at the end: A01_s1_DNA.tif, A01_s1_ER.tif; then give the name. The log tells what was done.");
            dialog.addHelp(HelpCommand.TEXT);
            dialog.showDialog();
            if (dialog.wasCanceled()) {
                return false;
            }
            lastImages = dialog.getNextString().trim();
            lastResults = dialog.getNextString().trim();
            lastChannel = dialog.getNextString().trim();
        } finally {
            Recorder.record = recording;
        }
        if (Recorder.record) {
            Recorder.recordPath("images", lastImages);
            Recorder.recordPath("results", lastResults);
            Recorder.recordOption("channel", lastChannel);
        }
        return true;
    }

    private static void measure(String images, String results, String channel) throws Problem, IOException {
        if (!new File(images).isDirectory()) {
            throw new Problem("There is no folder of images \"" + images + "\". Choose one.");
        }
        if (results.isEmpty() || new File(results).getAbsoluteFile().equals(new File(images).getAbsoluteFile())) {
            throw new Problem("The folder for the results is " + (results.isEmpty() ? "missing" : "that of the images")
                    + ". Choose another one.");
        }
        RoiManager manager = GraphicsEnvironment.isHeadless() ? null : RoiManager.getInstance2();
        if (manager != null && manager.getCount() > 0) {
            throw new Problem("The ROI Manager holds " + manager.getCount() + " ROIs, and this command needs it. Save and delete "
                    + "them first.");
        }
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            String said = IJ.runMacro(script(), images + "," + results + "," + channel);
            if ("[aborted]".equals(said)) {
                throw new Problem.Cancelled();
            }
        } finally {
            Recorder.record = recording;
        }
    }

    private static String script() throws IOException {
        try (InputStream in = FolderCommand.class.getResourceAsStream(SCRIPT)) {
            ByteArrayOutputStream text = new ByteArrayOutputStream();
            byte[] buffer = new byte[8192];
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                text.write(buffer, 0, count);
            }
            return text.toString("UTF-8");
        }
    }
}
