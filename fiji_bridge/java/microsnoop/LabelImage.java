package microsnoop;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.process.ImageProcessor;
import java.util.ArrayList;
import java.util.List;

/** An image whose pixels are the numbers of objects; 0 is background. */
final class LabelImage {
    /** The pixels of 32-bit images are floats: from here on, neighboring whole numbers are the same. */
    private static final int TOO_LARGE = 1 << 24;
    private static final int LARGEST_OF_16_BITS = 65535;

    final ImagePlus imp;
    private final boolean swapped;
    private boolean warned;

    /** @param title of the label image; blank: the only other open image of the same size */
    LabelImage(ImagePlus measured, String title) throws Problem {
        List<ImagePlus> fitting = candidates(measured);
        if (title.isEmpty()) {
            if (fitting.size() != 1) {
                throw new Problem("Which is the label image? " + (fitting.isEmpty()
                        ? "There is no other open image of the size of \"" + measured.getTitle() + "\": open it."
                        : "Give its title: labels=[" + fitting.get(0).getTitle() + "]."));
            }
            imp = fitting.get(0);
        } else {
            imp = WindowManager.getImage(title);
            if (imp == null) {
                throw new Problem("There is no open image with the title \"" + title + "\". Open the label image, or "
                        + "correct the title.");
            }
        }
        if (imp.getWidth() != measured.getWidth() || imp.getHeight() != measured.getHeight()) {
            throw new Problem("The label image \"" + imp.getTitle() + "\" is " + imp.getWidth() + " x " + imp.getHeight()
                    + " pixels, but \"" + measured.getTitle() + "\" is " + measured.getWidth() + " x "
                    + measured.getHeight() + ". Choose the label image of this image.");
        }
        if (imp.getType() == ImagePlus.COLOR_RGB) {
            throw new Problem("The label image \"" + imp.getTitle() + "\" is a color picture. Give one of 8, 16 or 32 bit "
                    + "in which the pixels of every object have its number.");
        }
        boolean single = imp.getStackSize() == 1;
        boolean same = imp.getNSlices() == measured.getNSlices() && imp.getNFrames() == measured.getNFrames();
        // the pages of a TIFF file are opened as slices, also where they are times
        swapped = !same && imp.getNSlices() == measured.getNFrames() && imp.getNFrames() == measured.getNSlices()
                && (imp.getNSlices() == 1 || imp.getNFrames() == 1);
        if (imp.getNChannels() > 1 || !(single || same || swapped)) {
            throw new Problem("The label image \"" + imp.getTitle() + "\" has " + imp.getNChannels() + " channels, "
                    + imp.getNSlices() + " slices and " + imp.getNFrames() + " frames, but \"" + measured.getTitle() + "\" has "
                    + measured.getNSlices() + " slices and " + measured.getNFrames() + " frames. Give one plane, or one for each "
                    + "slice and frame (Image > Properties says which is which).");
        }
    }

    /** The open images that may hold the labels of an image. */
    static List<ImagePlus> candidates(ImagePlus measured) {
        List<ImagePlus> fitting = new ArrayList<>();
        int[] ids = WindowManager.getIDList();
        for (int i = 0; ids != null && i < ids.length; i++) {
            ImagePlus other = WindowManager.getImage(ids[i]);
            if (other != null && other != measured && other.getType() != ImagePlus.COLOR_RGB
                    && other.getWidth() == measured.getWidth() && other.getHeight() == measured.getHeight()) {
                fitting.add(other);
            }
        }
        return fitting;
    }

    /** The numbers at a depth and time (from 1). */
    int[] plane(int slice, int frame) throws Problem {
        int index = swapped ? imp.getStackIndex(1, frame, slice) : imp.getStackIndex(1, slice, frame);
        index = imp.getStackSize() == 1 ? 1 : index;
        ImageProcessor processor = imp.getStack().getProcessor(index);
        int[] values = new int[imp.getWidth() * imp.getHeight()];
        boolean mask = imp.getBitDepth() == 8;
        boolean full = false;
        // ImageJ keeps signed numbers as unsigned ones with 32768 added
        int added = imp.getCalibration().isSigned16Bit() ? 32768 : 0;
        boolean any = false;
        for (int i = 0; i < values.length; i++) {
            float value = processor.getf(i) - added;
            if (value >= TOO_LARGE) {
                throw new Problem("The label image \"" + imp.getTitle() + "\" holds numbers from " + TOO_LARGE + ", which ImageJ "
                        + "cannot tell apart. Number its objects again from 1, or measure the file with \"microsnoop profile\".");
            }
            if (value != Math.rint(value) || value < 0) {
                throw new Problem("The label image \"" + imp.getTitle() + "\" holds the value " + value + ". Give an image "
                        + "in which 0 is background and every object has its own whole number, not intensities.");
            }
            values[i] = (int) value;
            any |= values[i] != 0;
            mask &= values[i] == 0 || values[i] == 255;
            full |= values[i] == LARGEST_OF_16_BITS;
        }
        if (full && imp.getBitDepth() == 16 && !warned) {
            warned = true;
            IJ.log("Microsnoop: the label image \"" + imp.getTitle() + "\" holds the largest number of a 16-bit image, "
                    + LARGEST_OF_16_BITS + ". Analyze Particles gives that number to all further objects: if there are "
                    + "more, that row is several objects. Use the ROI Manager, or a 32-bit label image.");
        }
        if (mask && any) {
            throw new Problem("\"" + imp.getTitle() + "\" is a black-and-white mask, not a label image: all objects have the "
                    + "same number. Run Analyze > Analyze Particles with Show: Count Masks, and measure with that image.");
        }
        return values;
    }
}
