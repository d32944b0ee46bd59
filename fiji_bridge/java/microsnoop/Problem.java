package microsnoop;

/** What stops a command; the message says what is wrong and what to do next. */
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
