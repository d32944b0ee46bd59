package microsnoop;

import ij.IJ;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Finds the Python that holds the engine. */
final class EngineFinder {
    static final String VARIABLE = "MICROSNOOP_PYTHON";
    /** Written beside the plugin by "microsnoop install fiji": the interpreter that holds the engine. */
    static final String RECORD = "microsnoop-engine.txt";

    static final String INSTALL_HELP = "What to do: choose Plugins > Microsnoop > Install Microsnoop Engine (or, in a terminal, "
            + "in microsnoop's folder, \"pip install .\", then \"microsnoop install fiji\"). If the engine is installed, choose "
            + "its Python in Plugins > Microsnoop > Microsnoop Settings and press \"Test engine\".";

    private static final String[][] INTERPRETERS = {{"bin", "python"}, {"Scripts", "python.exe"}, {"python.exe"}};
    private static final String[] ENVIRONMENTS = {
        "microsnoop/engine", "microsnoop/.venv", "miniforge3/envs/microsnoop", "mambaforge/envs/microsnoop",
        "miniconda3/envs/microsnoop", "anaconda3/envs/microsnoop"
    };

    private EngineFinder() {}

    /** The command, to be followed by "worker". */
    static List<String> find(String setting) throws Problem {
        String[][] given = {{"the setting \"Engine\"", setting}, {"the environment variable " + VARIABLE, System.getenv(VARIABLE)}};
        for (String[] one : given) {
            if (one[1] != null && !one[1].trim().isEmpty()) {
                List<String> command = command(one[1].trim());
                if (command == null) {
                    throw new Problem("The microsnoop engine was not found: " + one[0] + " says \"" + one[1].trim()
                            + "\", which is neither a program nor a folder with a Python in it. Correct it, or leave it "
                            + "blank.\n" + INSTALL_HELP);
                }
                return command;
            }
        }
        List<String> looked = new ArrayList<>();
        for (File folder : pluginFolders()) {
            File record = new File(folder, RECORD);
            looked.add(record.getPath());
            List<String> command = command(firstLine(record));
            if (command != null) {
                return command;
            }
        }
        List<String> command = command("microsnoop");
        looked.add("\"microsnoop\" on the PATH");
        for (String environment : ENVIRONMENTS) {
            if (command == null) {
                File folder = new File(System.getProperty("user.home"), environment);
                looked.add(folder.getPath());
                command = folder.isDirectory() ? command(folder.getPath()) : null;
            }
        }
        if (command == null) {
            throw new Problem("The microsnoop engine was not found. Looked for it in: the setting \"Engine\" (blank), "
                    + "the environment variable " + VARIABLE + " (not set), " + String.join(", ", looked) + ".\n"
                    + INSTALL_HELP);
        }
        return command;
    }

    /** The folders in which the note of "microsnoop install fiji" may lie. */
    private static List<File> pluginFolders() {
        List<File> folders = new ArrayList<>();
        try {
            URL place = EngineFinder.class.getProtectionDomain().getCodeSource().getLocation();
            folders.add(Paths.get(place.toURI()).toFile().getParentFile());
        } catch (Exception e) {
            IJ.log("Microsnoop: the plugin's own folder is not known (" + e + ")");
        }
        String plugins = IJ.getDirectory("plugins");
        if (plugins != null && !folders.contains(new File(plugins))) {
            folders.add(new File(plugins));
        }
        return folders;
    }

    private static String firstLine(File file) {
        try {
            List<String> lines = Files.readAllLines(file.toPath(), StandardCharsets.UTF_8);
            return lines.isEmpty() ? "" : lines.get(0).trim();
        } catch (IOException e) {
            return "";
        }
    }

    /** The command behind an interpreter, a folder that holds one, or a program; null if there is none. */
    private static List<String> command(String name) {
        name = name.replace("\"", "");
        if (name.startsWith("~")) {
            name = System.getProperty("user.home") + name.substring(1);
        }
        File path = null;
        if (!name.isEmpty() && new File(name).isDirectory()) {
            for (String[] parts : INTERPRETERS) {
                File candidate = new File(name, String.join(File.separator, parts));
                path = path == null && candidate.isFile() ? candidate : path;
            }
        } else if (!name.isEmpty()) {
            path = program(name);
        }
        if (path == null) {
            return null;
        }
        if (path.getName().toLowerCase(Locale.ROOT).startsWith("python")) {
            return Arrays.asList(path.getPath(), "-m", "microsnoop_engine");
        }
        return Arrays.asList(path.getPath());
    }

    /** A program of the PATH, or of the folders that a program started from the desktop does not see in it. */
    static File program(String name) {
        List<String> folders = new ArrayList<>();
        if (name.indexOf('/') >= 0 || name.indexOf(File.separatorChar) >= 0) {
            folders.add(null);
        } else {
            String path = System.getenv("PATH");
            folders.addAll(Arrays.asList((path == null ? "" : path).split(File.pathSeparator)));
            folders.add(System.getProperty("user.home") + "/.local/bin");
            folders.addAll(Arrays.asList("/opt/homebrew/bin", "/usr/local/bin"));
        }
        for (String folder : folders) {
            for (String ending : IJ.isWindows() ? new String[] {"", ".exe", ".bat", ".cmd"} : new String[] {""}) {
                File file = new File(folder, name + ending);
                if (file.isFile() && file.canExecute()) {
                    return file;
                }
            }
        }
        return null;
    }
}
