package microsnoop;

import ij.IJ;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Installs the engine into a Python environment of its own: with uv, or with a Python that is there. */
final class Installer {
    /** The project's own address, from which pip takes the newest state. */
    static final String PROJECT = "https://github.com/microsnoop/microsnoop/archive/HEAD.zip";
    static final String LOG = "install.log";
    private static final String PYTHON = ">=3.10,<3.14";
    private static final String MADE_HERE = "made-by-microsnoop.txt";
    private static final int LAST_LINES = 12;
    private static final String USABLE =
            "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))";

    private final InstallOptions options;
    private final Consumer<String> output;
    private final File folder;
    private volatile Process process;
    private volatile boolean cancelled;

    /** @param output takes the lines of the log */
    Installer(InstallOptions options, Consumer<String> output) {
        this.options = options;
        this.output = output;
        folder = new File(options.folder).getAbsoluteFile();
    }

    /** @return what was installed, in one line */
    String install() throws Problem {
        options.check();
        File former = new File(folder.getPath() + "-former");
        if (folder.exists() && !new File(folder, MADE_HERE).exists()) {
            throw new Problem("The folder \"" + folder + "\" is no engine that was made here: choose another folder.");
        }
        Engine.close();
        boolean done = false;
        try {
            Files.createDirectories(folder.getParentFile().toPath());
            try (PrintWriter log = new PrintWriter(new File(folder.getParentFile(), LOG), "UTF-8")) {
                if (folder.exists()) {
                    remove(former);
                    Files.move(folder.toPath(), former.toPath());
                }
                Files.createDirectories(folder.toPath());
                Files.createFile(folder.toPath().resolve(MADE_HERE));
                makeEnvironment(log);
                stage("3 of 3: testing the engine");
                Settings now = Settings.load();
                String device = options.gpu ? "auto" : now.device;
                String works = Engine.get(new Settings(folder.getPath(), Settings.FAST, device)).describe();
                new Settings(folder.getPath(), now.weights, device).save();
                done = true;
                return works;
            }
        } catch (IOException e) {
            throw new Problem("The folder \"" + folder + "\" cannot be written: " + e.getMessage() + ". Choose another one.");
        } finally {
            IJ.showProgress(1.0);
            IJ.showStatus("");
            restore(done, former);
        }
    }

    /** Ends the installation; what it has made is removed. */
    void cancel() {
        cancelled = true;
        Process running = process;
        if (running != null) {
            running.destroyForcibly();
        }
    }

    private void makeEnvironment(PrintWriter log) throws Problem {
        File tools = folder.getParentFile();
        File uv = options.uv.isEmpty() || options.isAddress() ? Uv.find(tools) : new File(options.uv);
        List<String> python = uv == null && !options.gpu ? findPython() : null;
        if (uv == null && python == null) {
            if (!options.download) {
                throw new Problem("There is no Python 3.10 to 3.13" + (options.gpu ? " with uv" : "") + " on this computer. Allow "
                        + "the download of uv, which brings one, or install Python from python.org.");
            }
            stage("1 of 3: downloading uv");
            uv = Uv.download(options.isAddress() ? options.uv : Uv.RELEASES, tools);
        }
        stage("1 of 3: making a Python environment");
        if (uv != null) {
            run(log, Arrays.asList(uv.getPath(), "venv", "--color", "never", "--allow-existing", "--python", PYTHON,
                    folder.getPath()));
            stage("2 of 3: installing microsnoop (some minutes)");
            List<String> command = new ArrayList<>(Arrays.asList(uv.getPath(), "pip", "install", "--color", "never", "--python",
                    interpreter().getPath(), options.requirement()));
            if (options.gpu) {
                command.addAll(Arrays.asList("--torch-backend", "auto"));
            }
            run(log, command);
        } else {
            List<String> command = new ArrayList<>(python);
            command.addAll(Arrays.asList("-m", "venv", folder.getPath()));
            run(log, command);
            stage("2 of 3: installing microsnoop (some minutes)");
            run(log, Arrays.asList(interpreter().getPath(), "-m", "pip", "install", options.requirement()));
        }
    }

    private File interpreter() {
        return new File(folder, IJ.isWindows() ? "Scripts\\python.exe" : "bin/python");
    }

    private void stage(String text) {
        output.accept(text);
        IJ.showStatus("Microsnoop: " + text);
        IJ.showProgress(Character.digit(text.charAt(0), 10) - 1, 3);
    }

    private void run(PrintWriter log, List<String> command) throws Problem {
        Deque<String> last = new ArrayDeque<>();
        log.println("> " + String.join(" ", command));
        try {
            process = environment(new ProcessBuilder(command)).redirectErrorStream(true).start();
            process.getOutputStream().close();
            if (cancelled) {
                process.destroyForcibly();
            }
            BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.println(line);
                log.flush();
                output.accept(line);
                last.addLast(line);
                if (last.size() > LAST_LINES) {
                    last.removeFirst();
                }
                if (IJ.escapePressed()) {
                    cancel();
                }
            }
            int code = process.waitFor();
            if (cancelled) {
                throw new Problem.Cancelled();
            }
            if (code != 0) {
                throw new Problem("The installation stopped (exit code " + code + " of " + new File(command.get(0)).getName()
                        + "). Its last lines:\n" + String.join("\n", last) + "\nWhat to do: is this computer online, and the disk "
                        + "not full? The whole log is " + new File(folder.getParentFile(), LOG) + ".");
            }
        } catch (IOException e) {
            if (cancelled) {
                throw new Problem.Cancelled();
            }
            throw new Problem("\"" + command.get(0) + "\" could not be run: " + e.getMessage() + ".");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Problem.Cancelled();
        }
    }

    private ProcessBuilder environment(ProcessBuilder builder) {
        builder.directory(folder.getParentFile());
        for (String name : new String[] {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"}) {
            builder.environment().remove(name);
        }
        builder.environment().put("PYTHONUNBUFFERED", "1");
        builder.environment().put("PYTHONUTF8", "1");
        builder.environment().put("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        builder.environment().put("PIP_PROGRESS_BAR", "off");
        builder.environment().put("UV_NO_PROGRESS", "1");
        builder.environment().put("UV_PYTHON_DOWNLOADS", options.download ? "automatic" : "never");
        builder.environment().put("UV_PYTHON_INSTALL_DIR", new File(folder.getParentFile(), "python").getPath());
        return builder;
    }

    /** The command of a Python that can make environments; null if there is none. */
    private List<String> findPython() {
        List<List<String>> candidates = new ArrayList<>();
        if (!options.python.isEmpty()) {
            candidates.add(Collections.singletonList(options.python));
        } else {
            for (String name : new String[] {"python3.12", "python3.13", "python3.11", "python3.10", "python3", "python"}) {
                File program = EngineFinder.program(name);
                if (program != null) {
                    candidates.add(Collections.singletonList(program.getPath()));
                }
            }
            if (IJ.isWindows()) {
                candidates.add(Arrays.asList("py", "-3"));
            }
        }
        for (List<String> candidate : candidates) {
            if (isUsable(candidate)) {
                return candidate;
            }
        }
        return null;
    }

    private boolean isUsable(List<String> python) {
        List<String> command = new ArrayList<>(python);
        command.addAll(Arrays.asList("-c", USABLE));
        try {
            Process check = environment(new ProcessBuilder(command)).redirectErrorStream(true).start();
            check.getOutputStream().close();
            boolean ended = check.waitFor(20, TimeUnit.SECONDS);
            check.destroyForcibly();
            return ended && check.exitValue() == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Removes a former engine, or puts it back in place of an attempt that did not succeed. */
    private void restore(boolean done, File former) throws Problem {
        try {
            if (!done) {
                Engine.close();
                remove(folder);
                if (former.exists()) {
                    Files.move(former.toPath(), folder.toPath());
                }
            }
            remove(former);
        } catch (IOException e) {
            output.accept("a folder could not be removed: " + e.getMessage());
        }
    }

    private static void remove(File folder) throws IOException {
        if (!folder.exists()) {
            return;
        }
        try (Stream<Path> paths = Files.walk(folder.toPath())) {
            for (Path path : (Iterable<Path>) paths.sorted(Comparator.reverseOrder())::iterator) {
                Files.delete(path);
            }
        }
    }
}
