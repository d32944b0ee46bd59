package microsnoop;

import ij.IJ;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** The one warm engine of this ImageJ: a Python process that speaks JSON lines and ends with ImageJ. */
final class Engine {
    static final int PROTOCOL = 1;
    private static final int START_SECONDS = 180;
    private static final int CANCEL_SECONDS = 60;
    private static final long NO_LIMIT = TimeUnit.DAYS.toSeconds(10000);
    private static final int LAST_LINES = 40;
    /** ImageJ loads plugins again with "Refresh Menus": the process is kept where the next class finds it. */
    private static final String KEPT = "microsnoop.engine.process";

    private static final Map<String, Object> END = Collections.singletonMap("responseType", (Object) "END");
    private static Engine current;
    private static List<String> currentCommand;

    private final List<String> command;
    private final Process process;
    private final OutputStream requests;
    private final BlockingQueue<Map<String, Object>> replies = new LinkedBlockingQueue<>();
    private final Deque<String> lastLines = new ArrayDeque<>();
    private final AtomicLong numbers = new AtomicLong();
    private Map<String, Object> info = Collections.emptyMap();

    private Engine(List<String> command) throws Problem {
        this.command = command;
        ProcessBuilder builder = new ProcessBuilder(command);
        for (String name : new String[] {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}) {
            builder.environment().remove(name);
        }
        builder.environment().put("PYTHONNOUSERSITE", "1");
        try {
            process = builder.start();
        } catch (IOException e) {
            throw new Problem("The microsnoop engine could not be started with \"" + String.join(" ", command) + "\": "
                    + e.getMessage() + ".\n" + EngineFinder.INSTALL_HELP);
        }
        requests = process.getOutputStream();
        follow("microsnoop replies", process.getInputStream(), true);
        follow("microsnoop messages", process.getErrorStream(), false);
    }

    /** The engine of the present settings, started when it does not run. */
    static synchronized Engine get(Settings settings) throws Problem {
        List<String> command = new ArrayList<>(EngineFinder.find(settings.engine));
        Collections.addAll(command, "worker", "--model", settings.weights, "--device", settings.device);
        if (current != null && (!current.process.isAlive() || !command.equals(currentCommand))) {
            close();
        }
        if (current == null) {
            Object former = IJ.getProperty(KEPT);
            if (former instanceof Process) {
                ((Process) former).destroy();
            }
            IJ.showStatus("Starting the microsnoop engine (some seconds, once)");
            Engine engine = new Engine(command);
            IJ.setProperty(KEPT, engine.process);
            current = engine;
            currentCommand = command;
            try {
                engine.info = engine.run("info", Collections.<String, Object>emptyMap(), START_SECONDS);
                Object protocol = engine.info.get("protocol");
                if (!Double.valueOf(PROTOCOL).equals(protocol)) {
                    throw new Problem("The microsnoop engine " + engine.info.get("version") + " speaks another protocol ("
                            + (protocol instanceof Double ? ((Double) protocol).intValue() : protocol) + ") than this plugin (" + PROTOCOL + "). " + update());
                }
            } catch (Problem problem) {
                close();
                throw problem;
            } finally {
                IJ.showStatus("");
            }
        }
        return current;
    }

    /** Ends the engine, if one runs. */
    static synchronized void close() {
        if (current != null) {
            current.end();
            current = null;
        }
    }

    private static String update() {
        return "Bring both to the same version: in microsnoop's folder \"pip install .\", then \"microsnoop install "
                + "fiji\", then restart ImageJ.";
    }

    /** One line: version, weights, device. */
    String describe() {
        String sha = String.valueOf(info.get("sha256"));
        return "microsnoop " + info.get("version") + ", weights " + info.get("weights") + " (sha256 "
                + sha.substring(0, Math.min(12, sha.length())) + "), device " + info.get("device") + ", "
                + info.get("precision") + " (" + info.get("backend") + "), Python " + info.get("python") + ", "
                + command.get(0);
    }

    /** Numbers per channel that the weights make. */
    int dimension() {
        return ((Double) info.get("dimension")).intValue();
    }

    /** A file of this name, to pass an array; for the caller to delete. */
    File file(String name) {
        return new File(String.valueOf(info.get("folder")), "imagej-" + numbers.incrementAndGet() + "-" + name + ".npy");
    }

    /** Runs a task; Esc cancels it. Other callers wait. */
    Map<String, Object> run(String script, Map<String, Object> inputs) throws Problem {
        return run(script, inputs, NO_LIMIT);
    }

    private synchronized Map<String, Object> run(String script, Map<String, Object> inputs, long seconds) throws Problem {
        String task = "t" + numbers.incrementAndGet();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        boolean cancelled = false;
        send("EXECUTE", task, script, inputs);
        while (true) {
            Map<String, Object> reply;
            try {
                reply = replies.poll(50, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                end();
                throw new Problem.Cancelled();
            }
            if (!cancelled && IJ.escapePressed()) {
                cancelled = true;
                deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(CANCEL_SECONDS);
                IJ.showStatus("Microsnoop: cancelling");
                send("CANCEL", task, null, null);
            }
            if (reply == END) {
                throw gone(script, "stopped");
            }
            if (reply == null) {
                if (System.nanoTime() > deadline) {
                    end();
                    throw cancelled ? new Problem.Cancelled() : gone(script, "did not answer in " + seconds + " s");
                }
                continue;
            }
            if (!task.equals(reply.get("task"))) {
                continue;
            }
            String kind = String.valueOf(reply.get("responseType"));
            if (kind.equals("UPDATE")) {
                progress(reply);
            } else if (kind.equals("COMPLETION") || kind.equals("CANCELATION") || kind.equals("FAILURE")) {
                IJ.showProgress(1.0);
                if (cancelled) {
                    IJ.resetEscape();
                    throw new Problem.Cancelled();
                }
                if (kind.equals("FAILURE")) {
                    String error = String.valueOf(reply.get("error"));
                    throw new Problem(error.startsWith("there is no task") ? "The microsnoop engine "
                            + info.get("version") + " is older than this plugin. " + update() : sentence(error));
                }
                return map(reply.get("outputs"));
            }
        }
    }

    private static String sentence(String text) {
        String end = text.matches("(?s).*[.!?]") ? "" : ".";
        return text.isEmpty() ? text : Character.toUpperCase(text.charAt(0)) + text.substring(1) + end;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return value instanceof Map ? (Map<String, Object>) value : Collections.<String, Object>emptyMap();
    }

    /** The file of an array among the outputs of a task. */
    static File path(Map<String, Object> outputs, String name) throws Problem {
        Object path = map(outputs.get(name)).get("npy");
        if (path == null) {
            throw new Problem("The answer of the microsnoop engine lacks \"" + name + "\". " + update());
        }
        return new File(path.toString());
    }

    private static void progress(Map<String, Object> reply) {
        Object done = reply.get("current");
        Object all = reply.get("maximum");
        if (done instanceof Double && all instanceof Double) {
            IJ.showProgress(((Double) done).intValue(), Math.max(1, ((Double) all).intValue()));
            IJ.showStatus("Microsnoop: " + ((Double) done).intValue() + " of " + ((Double) all).intValue()
                    + " crops (Esc cancels)");
        }
    }

    private void send(String type, String task, String script, Map<String, Object> inputs) throws Problem {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("requestType", type);
        request.put("task", task);
        if (script != null) {
            request.put("script", script);
            request.put("inputs", inputs);
        }
        try {
            requests.write((Json.write(request) + "\n").getBytes(StandardCharsets.UTF_8));
            requests.flush();
        } catch (IOException e) {
            throw gone(script == null ? "cancelling" : script, "stopped");
        }
    }

    private Problem gone(String script, String what) {
        end();
        StringBuilder message = new StringBuilder("The microsnoop engine " + what + " during " + script);
        message.append(process.isAlive() ? "." : " (exit code " + process.exitValue() + ").");
        message.append(" It was run with: ").append(String.join(" ", command));
        synchronized (lastLines) {
            if (!lastLines.isEmpty()) {
                message.append("\nIts last lines:\n").append(String.join("\n", lastLines));
            }
        }
        boolean started = info.containsKey("folder");
        return new Problem(message + "\n" + (started
                ? "What to do: run the command again, which starts a new engine. If it stops again, the memory may be too "
                        + "small: measure fewer channels or a smaller image, or close other programs."
                : EngineFinder.INSTALL_HELP));
    }

    /** Closing its input ends the engine; one that hangs is killed. */
    private void end() {
        try {
            requests.close();
        } catch (IOException e) {
            // what could not be sent any more is of no use to an engine that is gone
        }
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor(5, TimeUnit.SECONDS);
            }
            Thread.sleep(50);
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        removeFolder();
    }

    /** The engine removes its folder itself, unless it was killed. */
    private void removeFolder() {
        File folder = new File(String.valueOf(info.get("folder")));
        File[] files = info.containsKey("folder") ? folder.listFiles() : null;
        if (files != null) {
            for (File file : files) {
                file.delete();
            }
            folder.delete();
        }
    }

    private void follow(String name, final InputStream stream, final boolean isReplies) {
        Thread thread = new Thread(name) {
            @Override
            public void run() {
                try (BufferedReader lines = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
                    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                        take(line, isReplies);
                    }
                } catch (IOException e) {
                    take(e.toString(), false);
                }
                if (isReplies) {
                    replies.add(END);
                }
            }
        };
        thread.setDaemon(true);
        thread.start();
    }

    private void take(String line, boolean isReply) {
        try {
            if (isReply) {
                replies.add(map(Json.parse(line)));
                return;
            }
        } catch (IllegalArgumentException e) {
            isReply = false;
        }
        synchronized (lastLines) {
            if (lastLines.size() == LAST_LINES) {
                lastLines.removeFirst();
            }
            lastLines.add(line);
        }
    }
}
