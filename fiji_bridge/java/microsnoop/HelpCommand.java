package microsnoop;

import ij.gui.HTMLDialog;
import ij.plugin.PlugIn;

/** Plugins > Microsnoop > Microsnoop Help. */
public class HelpCommand implements PlugIn {
    static final String TEXT = "<html><h2>Microsnoop</h2>"
            + "<p>256 numbers per channel describe how an object, or a whole image, looks. A single number means<br>"
            + "nothing by itself: compare whole profiles, average them over wells, cluster or classify them.</p>"
            + "<h3>Measure</h3><ol>"
            + "<li>Open an image. Channels of a composite image are measured separately.</li>"
            + "<li>Draw or find objects: outlines in the ROI Manager (Analyze &gt; Analyze Particles, <i>Add to Manager</i>),<br>"
            + "an overlay, one selection, or a label image. Whole images need none.</li>"
            + "<li>Plugins &gt; Microsnoop &gt; Measure Microsnoop Features.</li></ol>"
            + "<h3>What to choose</h3><ul>"
            + "<li><b>Channels</b>: all, or names or numbers with commas; 1=DNA,2=GFP gives names.</li>"
            + "<li><b>What to show the network</b>: <i>box</i>, everything around the object (how it was trained), or<br>"
            + "<i>masked object</i>, the rest set to zero, for crowded cells with outlines that you trust.</li>"
            + "<li><b>Rescale constant</b>: half the width of the box in units of the object's longer side:<br>"
            + "2.0 for nuclei (takes in the cell around), 0.6 for whole cells.</li>"
            + "<li><b>Typical diameter</b>: 0 fits every box to the network's view, so that size does not count. A number of<br>"
            + "pixels scales all boxes by one factor: use the same one for all images that you compare.</li>"
            + "<li><b>Whole images</b>: <i>tile</i>, mean of 224 pixel tiles; or <i>rescale</i>, the image reduced to 224.</li>"
            + "<li><b>File</b>: .csv or .parquet in full precision, as \"microsnoop profile\" writes it.</li></ul>"
            + "<p>Rows go into the table \"Microsnoop Results\", apart from those of Analyze &gt; Measure.</p>"
            + "<h3>Classify cells</h3>"
            + "<p>Give some outlines of each kind a group (Properties... in the ROI Manager): 1, 2, ... Plugins &gt; Microsnoop<br>"
            + "&gt; Classify Cells measures all outlines, and gives the others the class that they resemble. The log says<br>"
            + "how many examples it would get right that it had not seen.</p>"
            + "<h3>In a macro</h3>"
            + "<pre>run(\"Measure Microsnoop Features\",\n"
            + "    \"objects=[ROI Manager] channels=all mode=box csv=[/path/cells.csv] append\");</pre>"
            + "<p>Plugins &gt; Macros &gt; Record writes this line for you.</p>"
            + "<h3>When something does not work</h3><ul>"
            + "<li>No engine yet? Plugins &gt; Microsnoop &gt; Install Microsnoop Engine makes one.</li>"
            + "<li>Plugins &gt; Microsnoop &gt; Microsnoop Settings &gt; <i>Test engine</i> says what is wrong.</li>"
            + "<li>NaN: no contrast in the box.</li>"
            + "<li>Esc cancels; nothing is written then.</li></ul>"
            + "<p>Xun et al. 2023, The Innovation 5:100541. docs/how-to/fiji.md has more.</p></html>";

    @Override
    public void run(String argument) {
        new HTMLDialog("Microsnoop Help", TEXT, false);
    }
}
