package microsnoop;

import ij.ImagePlus;
import ij.io.FileInfo;
import ij.io.Opener;
import ij.io.TiffDecoder;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Opens images for macros that go through folders: a file that cannot be read is an answer, not the end of the macro.
 * ImageJ makes an object of every class that macros call.
 */
public class ImageFile {
    private static final Pattern IMAGES = Pattern.compile("^images=(\\d{1,9})$", Pattern.MULTILINE);
    /** The version of TIFF files of up to 4 GB, the only one that ImageJ reads. */
    private static final int CLASSIC = 42;
    private static final int MOST_PLANES = 1000000;

    /**
     * For macros: call("microsnoop.ImageFile.open", path).
     *
     * @return "" or the error
     */
    public static String open(String path) {
        try {
            image(new File(path)).show();
            return "";
        } catch (Throwable error) {
            return Reporter.message(error);
        }
    }

    /** @return the image, whole */
    static ImagePlus image(File file) throws Problem {
        Opener opener = new Opener();
        opener.setSilentMode(true);
        ImagePlus imp = file.length() == 0 ? null : opener.openImage(file.getPath());
        if (imp == null) {
            throw new Problem("\"" + file.getName() + "\" cannot be read as an image. Open it in ImageJ to see why.");
        }
        if (file.getName().toLowerCase(Locale.ROOT).matches(".*\\.tiff?")) {
            checkLength(file, imp);
        }
        return imp;
    }

    /** ImageJ fills what a file lacks with zeros, or leaves planes out. */
    private static void checkLength(File file, ImagePlus imp) throws Problem {
        FileInfo[] infos;
        long end;
        try {
            infos = new TiffDecoder(file.getParent() + File.separator, file.getName()).getTiffInfo();
            end = endOfDirectories(file);
        } catch (IOException e) {
            throw new Problem("\"" + file.getName() + "\" cannot be read: " + e.getMessage() + ".");
        }
        if (infos == null || infos.length == 0) {
            return;
        }
        for (FileInfo info : infos) {
            end = Math.max(end, end(info));
        }
        Matcher images = IMAGES.matcher(infos[0].description == null ? "" : infos[0].description);
        int planes = images.find() ? Integer.parseInt(images.group(1)) : 1;
        if (end > file.length() || planes > imp.getStackSize()) {
            throw new Problem("\"" + file.getName() + "\" is cut off: it lacks pixels. Copy it again.");
        }
    }

    /** Where the last pixel ends. */
    private static long end(FileInfo info) {
        if (info.stripOffsets == null || info.stripLengths == null) {
            long plane = (long) info.width * info.height * info.getBytesPerPixel();
            return info.getOffset() + plane * info.nImages + (long) info.gapBetweenImages * (info.nImages - 1);
        }
        long end = 0;
        for (int i = 0; i < info.stripOffsets.length; i++) {
            end = Math.max(end, (info.stripOffsets[i] & 0xffffffffL) + info.stripLengths[i]);
        }
        return end;
    }

    /** Where the directories of a TIFF file end, the farthest of them; each one points to the next. */
    private static long endOfDirectories(File file) throws IOException {
        try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
            boolean little = in.read() == 'I';
            if (number(in, 2, 2, little) != CLASSIC) {
                return 0;
            }
            long farthest = 0;
            long offset = number(in, 4, 4, little);
            for (int i = 0; offset != 0 && i < MOST_PLANES; i++) {
                long end = offset + 2;
                if (end <= in.length()) {
                    end += 12L * number(in, offset, 2, little) + 4;
                }
                offset = end <= in.length() ? number(in, end - 4, 4, little) : 0;
                farthest = Math.max(farthest, end);
            }
            return farthest;
        }
    }

    private static long number(RandomAccessFile in, long offset, int bytes, boolean little) throws IOException {
        in.seek(offset);
        long value = 0;
        for (int i = 0; i < bytes; i++) {
            long next = in.readUnsignedByte();
            value = little ? value | next << 8 * i : value << 8 | next;
        }
        return value;
    }
}
