package microsnoop;

import ij.Prefs;
import java.util.Arrays;
import java.util.List;

/** Which engine computes, with which weights, where; kept in ImageJ's preferences. */
final class Settings {
    static final List<String> DEVICES = Arrays.asList("auto", "cpu", "cuda", "mps");
    static final String FAST = "fast";

    final String engine;
    final String weights;
    final String device;

    Settings(String engine, String weights, String device) {
        this.engine = engine.trim();
        this.weights = weights.trim().isEmpty() ? FAST : weights.trim();
        this.device = device;
    }

    static Settings load() {
        return new Settings(
                Prefs.get("microsnoop.engine", ""),
                Prefs.get("microsnoop.weights", FAST),
                Prefs.get("microsnoop.device", "auto"));
    }

    void save() {
        Prefs.set("microsnoop.engine", engine);
        Prefs.set("microsnoop.weights", weights);
        Prefs.set("microsnoop.device", device);
        Prefs.savePreferences();
    }
}
