package microsnoop;

import ij.IJ;
import ij.Macro;
import ij.macro.Interpreter;
import java.awt.GraphicsEnvironment;
import java.io.PrintWriter;
import java.io.StringWriter;

/** Reports errors: in a window to a user who waits, in the log to a macro, which ends. */
final class Reporter {
    private Reporter() {}

    /** True if a user has chosen the command from the menu. */
    static boolean interactive() {
        return Macro.getOptions() == null && !unattended() && !IJ.isMacro();
    }

    /** True if there is nobody to answer a dialog. */
    static boolean unattended() {
        return GraphicsEnvironment.isHeadless() || Interpreter.isBatchMode() || IJ.getInstance() == null;
    }

    static void report(Throwable error, boolean interactive) {
        IJ.showProgress(1.0);
        String message = message(error);
        IJ.showStatus("Microsnoop: " + message.split("\n")[0]);
        if (error instanceof Problem.Cancelled && interactive) {
            return;
        }
        if (interactive) {
            IJ.error("Microsnoop", wrapped(message));
            return;
        }
        IJ.log("Microsnoop: " + message);
        // in this order: on the thread of a script editor, Macro.abort() throws
        endMacro();
        Macro.abort();
    }

    /** Ends the running macro as Esc does, from another thread; a flag alone would let a macro go on. */
    private static void endMacro() {
        final Interpreter running = Interpreter.getInstance();
        if (running == null) {
            return;
        }
        Thread thread = new Thread("microsnoop ends the macro") {
            @Override
            public void run() {
                running.abortMacro();
            }
        };
        thread.setDaemon(true);
        thread.start();
        for (int i = 0; i < 100 && !running.done(); i++) {
            IJ.wait(10);
        }
    }

    static String message(Throwable error) {
        if (error instanceof Problem) {
            return error.getMessage();
        }
        if (error instanceof OutOfMemoryError) {
            return "ImageJ's memory is too small for this image. Raise it with Edit > Options > Memory & Threads, or "
                    + "measure fewer channels or slices at once.";
        }
        StringWriter trace = new StringWriter();
        error.printStackTrace(new PrintWriter(trace));
        return "Something unexpected happened: " + error + "\nWhat to do: run the command again; if it happens again, "
                + "please report these lines:\n" + trace;
    }

    /** Lines short enough for a message window. */
    static String wrapped(String text) {
        StringBuilder out = new StringBuilder();
        for (String line : text.split("\n", -1)) {
            int length = 0;
            for (String word : line.split(" ")) {
                if (length > 0 && length + word.length() > 78) {
                    out.append('\n');
                    length = 0;
                }
                out.append(length > 0 ? " " : "").append(word);
                length += word.length() + 1;
            }
            out.append('\n');
        }
        return out.toString().trim();
    }
}
