package microsnoop;

import java.io.File;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What is installed, from where, and where to. */
final class InstallOptions {
    static final String CPU = "CPU";
    static final String GPU = "NVIDIA GPU";
    static final List<String> DEVICES = Arrays.asList(CPU, GPU);
    private static final String[] KEYS = {"source", "compute", "folder", "python", "uv", "download"};

    /** A wheel or an address; blank: the project's own. */
    String source = "";
    boolean gpu;
    /** One of the places in which the engine is looked for. */
    String folder = new File(System.getProperty("user.home"), "microsnoop/engine").getPath();
    /** The interpreter that makes the environment; blank: found. */
    String python = "";
    /** The program uv, or the address of its release files; blank: found. */
    String uv = "";
    /** The user agrees to the download of uv, and of a Python. */
    boolean download;

    static InstallOptions parse(String text) throws Problem {
        Map<String, String> words = Options.words(text, KEYS, Arrays.asList("download"));
        InstallOptions options = new InstallOptions();
        options.source = words.getOrDefault("source", "").trim();
        options.gpu = Options.choice("compute", words.get("compute"), CPU, DEVICES).equals(GPU);
        options.folder = words.getOrDefault("folder", options.folder).trim();
        options.python = words.getOrDefault("python", "").trim();
        options.uv = words.getOrDefault("uv", "").trim();
        options.download = words.containsKey("download");
        return options;
    }

    boolean isAddress() {
        return isAddress(uv);
    }

    private static boolean isAddress(String text) {
        return text.matches("[a-z+]{2,}://?.*");
    }

    void check() throws Problem {
        if (folder.isEmpty()) {
            throw new Problem("The folder of the engine has no name: choose one.");
        }
        if (source.isEmpty() || isAddress(source)) {
            return;
        }
        if (!source.toLowerCase(Locale.ROOT).endsWith(".whl")) {
            throw new Problem("\"" + source + "\" is no wheel: choose the file microsnoop-...-py3-none-any.whl, or leave it blank.");
        }
        if (!new File(source).isFile()) {
            throw new Problem("There is no file \"" + source + "\": choose the wheel of microsnoop, or leave it blank.");
        }
    }

    /** The requirement for pip and uv. */
    String requirement() {
        String address = source.isEmpty() ? Installer.PROJECT : source;
        if (!isAddress(address)) {
            address = "file://" + new File(address).getAbsoluteFile().toURI().getRawPath();
        }
        return "microsnoop" + (gpu ? "[torch]" : "") + " @ " + address;
    }
}
