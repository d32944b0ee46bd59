package microsnoop;

import ij.IJ;
import ij.Macro;
import ij.gui.GenericDialog;
import ij.io.OpenDialog;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import java.awt.Button;
import java.awt.Choice;
import java.awt.FlowLayout;
import java.awt.Panel;
import java.awt.TextArea;
import java.awt.TextField;
import java.awt.event.ActionEvent;
import java.awt.event.ActionListener;
import java.util.Arrays;
import java.util.Map;
import java.util.Vector;

/** Plugins > Microsnoop > Microsnoop Settings: which engine, weights and device; a button that tests them. */
public class SettingsCommand implements PlugIn, ActionListener {
    private static final String[] KEYS = {"engine", "weights", "device", "test"};

    private GenericDialog dialog;
    private TextArea answer;
    private Button test;
    private Button choose;
    private Button install;

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
            Settings now = Settings.load();
            Map<String, String> words = Options.words(text == null ? "" : text, KEYS, Arrays.asList("test"));
            new Settings(
                            words.getOrDefault("engine", now.engine),
                            words.getOrDefault("weights", now.weights),
                            Options.choice("device", words.get("device"), now.device, Settings.DEVICES))
                    .save();
            if (words.containsKey("test")) {
                IJ.log("The engine works: " + Engine.get(Settings.load()).describe());
            }
        } catch (Throwable error) {
            Reporter.report(error, interactive);
        }
    }

    private void ask() {
        boolean recording = Recorder.record;
        Recorder.record = false;
        Settings now = Settings.load();
        Settings chosen;
        try {
            dialog = new GenericDialog("Microsnoop Settings");
            dialog.addStringField("Engine (blank: found by itself):", now.engine, 36);
            dialog.addStringField("Weights:", now.weights, 36);
            dialog.addChoice("Device:", Settings.DEVICES.toArray(new String[0]), now.device);
            Panel panel = new Panel(new FlowLayout(FlowLayout.CENTER));
            choose = new Button("Choose engine...");
            test = new Button("Test engine");
            install = new Button("Install engine...");
            for (Button button : Arrays.asList(choose, test, install)) {
                button.addActionListener(this);
                panel.add(button);
            }
            dialog.addPanel(panel);
            answer = new TextArea("The engine is the Python (or its \"microsnoop\" command) in which microsnoop is installed.\n"
                    + "Press \"Test engine\" to see whether it is found and works.", 8, 72, TextArea.SCROLLBARS_VERTICAL_ONLY);
            answer.setEditable(false);
            Panel below = new Panel();
            below.add(answer);
            dialog.addPanel(below);
            dialog.addHelp(HelpCommand.TEXT);
            dialog.showDialog();
            if (dialog.wasCanceled()) {
                return;
            }
            chosen = new Settings(dialog.getNextString(), dialog.getNextString(), dialog.getNextChoice());
        } finally {
            Recorder.record = recording;
        }
        chosen.save();
        if (Recorder.record) {
            Recorder.recordOption("engine", chosen.engine.isEmpty() ? "[]" : Recorder.fixPath(chosen.engine));
            Recorder.recordOption("weights", chosen.weights);
            Recorder.recordOption("device", chosen.device);
        }
    }

    @Override
    public void actionPerformed(ActionEvent event) {
        Vector<?> fields = dialog.getStringFields();
        final TextField engine = (TextField) fields.get(0);
        if (event.getSource() == choose) {
            OpenDialog open = new OpenDialog("The Python in which microsnoop is installed");
            if (open.getPath() != null) {
                engine.setText(open.getPath());
            }
            return;
        }
        if (event.getSource() == install) {
            new InstallCommand().ask();
            engine.setText(Settings.load().engine);
            return;
        }
        final Settings settings = new Settings(engine.getText(), ((TextField) fields.get(1)).getText(),
                ((Choice) dialog.getChoices().get(0)).getSelectedItem());
        answer.setText("Starting the engine, some seconds...");
        test.setEnabled(false);
        new Thread("microsnoop test") {
            @Override
            public void run() {
                String text;
                try {
                    text = "The engine works: " + Engine.get(settings).describe();
                } catch (Throwable error) {
                    text = Reporter.message(error);
                }
                answer.setText(text);
                test.setEnabled(true);
            }
        }.start();
    }
}
