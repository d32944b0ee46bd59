package microsnoop;

import ij.ImagePlus;
import ij.process.ColorProcessor;
import ij.process.ImageProcessor;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;

/** The channels of an image: their names, and their pixels as a file for the engine. */
final class Pixels {
    private static final String[] COLORS = {"Red", "Green", "Blue"};
    private static final int MOST = 16;
    private static final String FILE = "\\.(tiff?|png|jpe?g|gif|bmp)$";

    final ImagePlus imp;
    /** Numbers of the channels, from 0. */
    final int[] channels;
    final String[] names;

    /** @param wanted "all"; blank: all, if there are few; or names or numbers from 1, with commas; "2=DNA" gives channel 2 a name */
    Pixels(ImagePlus imp, String wanted) throws Problem {
        this.imp = imp;
        String[] existing = names(imp);
        if (wanted.isEmpty() && existing.length > MOST) {
            throw new Problem("The image \"" + title(imp) + "\" has " + existing.length + " channels. Are they slices or colors? "
                    + "Image > Properties says which is which. If they are channels, choose channels=all.");
        }
        if (wanted.isEmpty() || wanted.equalsIgnoreCase("all")) {
            names = existing;
            channels = new int[existing.length];
            for (int i = 0; i < channels.length; i++) {
                channels[i] = i;
            }
            return;
        }
        String[] words = wanted.split(",");
        names = new String[words.length];
        channels = new int[words.length];
        for (int i = 0; i < words.length; i++) {
            String word = words[i].trim();
            int equals = word.indexOf('=');
            String which = equals < 0 ? word : word.substring(0, equals).trim();
            channels[i] = index(which, existing);
            names[i] = equals < 0 ? existing[channels[i]] : clean(word.substring(equals + 1));
            if (names[i].isEmpty() || Arrays.asList(names).subList(0, i).contains(names[i])) {
                throw new Problem("channels is \"" + wanted + "\": channel \"" + names[i] + "\" is named twice. Name each once.");
            }
        }
    }

    private static int index(String which, String[] existing) throws Problem {
        for (int i = 0; i < existing.length; i++) {
            if (existing[i].equalsIgnoreCase(which)) {
                return i;
            }
        }
        if (which.matches("\\d{1,6}") && Integer.parseInt(which) >= 1 && Integer.parseInt(which) <= existing.length) {
            return Integer.parseInt(which) - 1;
        }
        throw new Problem("There is no channel \"" + which + "\". The channels are: " + String.join(", ", existing)
                + " (or 1 to " + existing.length + "). Give all, or some of them with commas. If the slices of a stack "
                + "are channels, say so with Image > Properties.");
    }

    /** The title of an image; those from Python have none. */
    static String title(ImagePlus imp) {
        String title = imp.getTitle() == null ? "" : imp.getTitle().trim();
        return title.isEmpty() ? "image" : title;
    }

    /** Names of all channels: the labels of the slices where these tell them apart, else C1, C2, ... */
    static String[] names(ImagePlus imp) {
        if (imp.getType() == ImagePlus.COLOR_RGB) {
            return COLORS.clone();
        }
        int count = imp.getNChannels();
        if (count == 1) {
            return new String[] {"Image"};
        }
        String[] names = new String[count];
        String[] numbered = new String[count];
        boolean files = true;
        for (int c = 0; c < count; c++) {
            String label = imp.getStack().getSliceLabel(imp.getStackIndex(c + 1, 1, 1));
            String line = label == null ? "" : label.split("\n")[0].trim();
            files &= line.matches("(?i).*" + FILE);
            names[c] = clean(line);
            numbered[c] = "C" + (c + 1);
        }
        if (files) {
            tellApart(names);
        }
        for (int c = 0; c < count; c++) {
            // images of ImageJ2 have the places of their slices for labels
            names[c] = names[c].equals(Integer.toString(imp.getStackIndex(c + 1, 1, 1))) ? "" : names[c];
        }
        boolean distinct = new HashSet<>(Arrays.asList(names)).size() == count && !Arrays.asList(names).contains("");
        return distinct ? names : numbered;
    }

    /** Leaves of the names of the files of one field what they do not share: of A01_s1_DNA and A01_s1_ER, DNA and ER. */
    private static void tellApart(String[] names) {
        int start = names[0].length();
        int end = start;
        for (String name : names) {
            int shortest = Math.min(name.length(), names[0].length());
            int same = 0;
            while (same < shortest && name.charAt(same) == names[0].charAt(same)) {
                same++;
            }
            start = Math.min(start, same);
            int last = 0;
            while (last < shortest && name.charAt(name.length() - 1 - last) == names[0].charAt(names[0].length() - 1 - last)) {
                last++;
            }
            end = Math.min(end, last);
        }
        // whole words, parted by signs
        while (start > 0 && Character.isLetterOrDigit(names[0].charAt(start - 1))) {
            start--;
        }
        while (end > 0 && Character.isLetterOrDigit(names[0].charAt(names[0].length() - end))) {
            end--;
        }
        for (int i = 0; i < names.length; i++) {
            names[i] = names[i].substring(start, Math.max(start, names[i].length() - end));
        }
    }

    /** A name without characters that would break a table, without Bio-Formats' "c:1/2 - " and without a file's ending. */
    private static String clean(String name) {
        name = name.replaceFirst("^(?:[czt]:\\d+/\\d+ ?)+(?:- )?", "");
        name = name.replaceFirst("(?i)" + FILE, "");
        return name.trim().replaceAll("[\\s,;\"\\[\\]]+", "_");
    }

    /** Writes the channels at a depth and time (from 1) as an array (c, h, w). */
    void write(File path, int slice, int frame) throws IOException, Problem {
        int bits = imp.getBitDepth();
        boolean signed = imp.getCalibration().isSigned16Bit();
        String kind = bits == 16 ? (signed ? "i2" : "u2") : bits == 32 ? "f4" : "u1";
        try (Npy npy = new Npy(path, kind, channels.length, imp.getHeight(), imp.getWidth())) {
            for (int channel : channels) {
                Object plane = plane(channel, slice, frame);
                if (plane instanceof byte[]) {
                    npy.bytes((byte[]) plane);
                } else if (plane instanceof short[]) {
                    npy.shorts(signed ? unshifted((short[]) plane) : (short[]) plane);
                } else {
                    npy.floats((float[]) plane);
                }
            }
        }
    }

    private Object plane(int channel, int slice, int frame) throws Problem {
        boolean rgb = imp.getType() == ImagePlus.COLOR_RGB;
        try {
            ImageProcessor processor = imp.getStack().getProcessor(imp.getStackIndex(rgb ? 1 : channel + 1, slice, frame));
            return rgb ? ((ColorProcessor) processor).getChannel(channel + 1) : processor.getPixelsCopy();
        } catch (NullPointerException | IllegalArgumentException e) {
            throw new Problem("The image \"" + imp.getTitle() + "\" was closed while it was measured. Open it again, and "
                    + "keep it open until the rows are in the table.");
        }
    }

    /** ImageJ keeps signed numbers as unsigned ones with 32768 added. */
    private static short[] unshifted(short[] values) {
        short[] result = new short[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = (short) (values[i] - 32768);
        }
        return result;
    }

    /** Depths and times (slice, frame) to measure, from 1. */
    List<int[]> places(boolean all) {
        List<int[]> places = new ArrayList<>();
        for (int frame = 1; frame <= imp.getNFrames(); frame++) {
            for (int slice = 1; slice <= imp.getNSlices(); slice++) {
                if (all || (slice == currentSlice() && frame == currentFrame())) {
                    places.add(new int[] {slice, frame});
                }
            }
        }
        return places;
    }

    private int currentSlice() {
        return imp.convertIndexToPosition(imp.getCurrentSlice())[1];
    }

    private int currentFrame() {
        return imp.convertIndexToPosition(imp.getCurrentSlice())[2];
    }
}
