package microsnoop;

/** Stops a command; the message says why, and what to do. */
public class Problem extends Exception {
    private static final long serialVersionUID = 1;

    public Problem(String message) {
        super(message);
    }

    /** The user pressed Esc. */
    public static class Cancelled extends Problem {
        private static final long serialVersionUID = 1;

        public Cancelled() {
            super("cancelled; nothing was written");
        }
    }
}
