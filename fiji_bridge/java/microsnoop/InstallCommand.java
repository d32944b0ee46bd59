package microsnoop;

import ij.IJ;
import ij.Macro;
import ij.gui.GenericDialog;
import ij.io.OpenDialog;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import java.awt.Button;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.FlowLayout;
import java.awt.Panel;
import java.awt.TextArea;
import java.awt.TextField;
import java.awt.event.ActionEvent;
import java.awt.event.ActionListener;

/** Plugins > Microsnoop > Install Microsnoop Engine: a private Python environment, without a terminal. */
public class InstallCommand implements PlugIn, ActionListener {
    private static final String INTRODUCTION = "The engine is the Python program that computes. It goes into a folder of its own "
            + "and changes nothing else.\nIt needs about 1 GB (with NVIDIA GPU: 7 GB) and some minutes. Press Install.\n";

    private GenericDialog dialog;
    private TextArea log;
    private Button choose;
    private Button install;
    private Button cancel;
    private volatile Installer installer;

    @Override
    public void run(String argument) {
        boolean interactive = Reporter.interactive();
        IJ.resetEscape();
        try {
            String text = Macro.getOptions();
            if (text == null && !Reporter.unattended()) {
                ask();
                return;
            }
            InstallOptions options = InstallOptions.parse(text == null ? "" : text);
            IJ.log("The engine works: " + new Installer(options, IJ::log).install());
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        }
    }

    void ask() {
        boolean recording = Recorder.record;
        Recorder.record = false;
        try {
            InstallOptions first = new InstallOptions();
            dialog = new GenericDialog("Install Microsnoop Engine");
            dialog.addChoice("Compute on:", InstallOptions.DEVICES.toArray(new String[0]), InstallOptions.CPU);
            dialog.addStringField("Folder:", first.folder, 44);
            dialog.addStringField("Wheel (blank: the project's own site):", "", 44);
            dialog.addCheckbox("If there is no Python, download one with the program uv (from github.com)", true);
            Panel panel = new Panel(new FlowLayout(FlowLayout.CENTER));
            choose = button(panel, "Choose wheel...");
            install = button(panel, "Install");
            cancel = button(panel, "Cancel installation");
            cancel.setEnabled(false);
            dialog.addPanel(panel);
            log = new TextArea(INTRODUCTION, 14, 90, TextArea.SCROLLBARS_VERTICAL_ONLY);
            log.setEditable(false);
            Panel below = new Panel();
            below.add(log);
            dialog.addPanel(below);
            dialog.addHelp(HelpCommand.TEXT);
            dialog.hideCancelButton();
            dialog.setOKLabel("Close");
            dialog.showDialog();
            if (installer != null) {
                installer.cancel();
            }
        } finally {
            Recorder.record = recording;
        }
    }

    private Button button(Panel panel, String label) {
        Button button = new Button(label);
        button.addActionListener(this);
        panel.add(button);
        return button;
    }

    @Override
    public void actionPerformed(ActionEvent event) {
        TextField wheel = (TextField) dialog.getStringFields().get(1);
        if (event.getSource() == choose) {
            OpenDialog open = new OpenDialog("The wheel of microsnoop (.whl)");
            if (open.getPath() != null) {
                wheel.setText(open.getPath());
            }
        } else if (event.getSource() == cancel) {
            installer.cancel();
        } else if (event.getSource() == install) {
            InstallOptions options = new InstallOptions();
            options.gpu = ((Choice) dialog.getChoices().get(0)).getSelectedItem().equals(InstallOptions.GPU);
            options.folder = ((TextField) dialog.getStringFields().get(0)).getText().trim();
            options.source = wheel.getText().trim();
            options.download = ((Checkbox) dialog.getCheckboxes().get(0)).getState();
            start(options);
        }
    }

    private void start(InstallOptions options) {
        log.setText("");
        setRunning(true);
        installer = new Installer(options, line -> log.append(line + "\n"));
        new Thread("microsnoop installs") {
            @Override
            public void run() {
                String text;
                try {
                    text = "The engine works: " + installer.install();
                } catch (Throwable error) {
                    text = Reporter.message(error);
                }
                log.append(text + "\n");
                installer = null;
                setRunning(false);
            }
        }.start();
    }

    private void setRunning(boolean running) {
        install.setEnabled(!running);
        choose.setEnabled(!running);
        cancel.setEnabled(running);
    }
}
