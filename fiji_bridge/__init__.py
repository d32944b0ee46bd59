"""ImageJ and Fiji: the plugin (java/, built as Microsnoop_.jar), and functions for Python with an ImageJ gateway."""
