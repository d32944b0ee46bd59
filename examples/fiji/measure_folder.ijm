// Finds the nuclei in every image of a folder with ImageJ's own commands, and measures them with Microsnoop.
//
// In Fiji: drag this file onto the main window and press Run; it asks for the two folders.
// Without anybody there: ... -batch measure_folder.ijm "IMAGES,RESULTS,DNA" (images, results, channel of the nuclei).
//
// Images are TIFF files with several channels, or one file per channel, named alike but for the channel at the end
// (A01_s1_DNA.tif, A01_s1_ER.tif). In the results folder, cells.csv has a row per nucleus with 256 numbers per channel;
// labels/ has the nuclei as label images, rois/ as ROI files to look at in ImageJ.

smallest = 40; // nuclei have at least so many pixels
blur = 2;      // smooths noise before the threshold, in pixels

arguments = split(getArgument(), ",");
if (arguments.length >= 2) {
    images = arguments[0];
    results = arguments[1];
} else {
    images = getDirectory("Folder with the images");
    results = getDirectory("Folder for the results");
}
nuclei = "DNA";
if (arguments.length >= 3)
    nuclei = arguments[2];
if (!endsWith(images, "/")) images = images + "/";
if (!endsWith(results, "/")) results = results + "/";
if (!File.isDirectory(images))
    exit("There is no folder " + images);
File.makeDirectory(results);
File.makeDirectory(results + "labels");
File.makeDirectory(results + "rois");

setBatchMode(true);
setOption("BlackBackground", true);
setOption("ScaleConversions", true);
measured = 0;
empty = 0;
failed = 0;
started = getTime();
walk("");
print("Measured " + measured + " images in " + (getTime() - started) / 1000 + " s (" + empty + " without nuclei, "
    + failed + " failed): " + results + "cells.csv");

// Measures the images of a folder and of the folders in it.
function walk(folder) {
    names = getFileList(images + folder);
    for (i = 0; i < names.length; i++) {
        if (endsWith(names[i], "/")) {
            walk(folder + names[i]);
        } else if (endsWith(toLowerCase(names[i]), ".tif") || endsWith(toLowerCase(names[i]), ".tiff")) {
            title = openField(folder, names[i], names);
            if (title != "")
                measureNuclei(title, folder);
            close("*");
        }
    }
}

// Opens an image with all its channels; "" for a file that belongs to another one.
function openField(folder, name, names) {
    ending = substring(name, lastIndexOf(name, "."));
    stem = substring(name, 0, lengthOf(name) - lengthOf(ending));
    if (endsWith(stem, "_" + nuclei)) {
        field = substring(stem, 0, lengthOf(stem) - lengthOf(nuclei));
        channels = newArray(0);
        for (j = 0; j < names.length; j++)
            if (startsWith(names[j], field) && endsWith(names[j], ending))
                channels = Array.concat(channels, names[j]);
        for (j = 0; j < channels.length; j++) {
            open(images + folder + channels[j]);
            rename(substring(channels[j], lengthOf(field), lengthOf(channels[j]) - lengthOf(ending)));
        }
        if (channels.length > 1) {
            run("Images to Stack", "use");
            run("Properties...", "channels=" + channels.length + " slices=1 frames=1");
        }
        rename(stem);
        return stem;
    }
    field = substring(stem, 0, maxOf(lastIndexOf(stem, "_"), 0));
    if (File.exists(images + folder + field + "_" + nuclei + ending))
        return "";
    open(images + folder + name);
    rename(stem);
    return stem;
}

// The number of the channel with this name, else the name as a number, else 1.
function channelOf(name) {
    getDimensions(width, height, channels, slices, frames);
    for (c = 1; c <= channels; c++) {
        setSlice(c);
        label = getInfo("slice.label");
        if (label == name)
            return c;
    }
    if (matches(name, "\\d+") && parseInt(name) <= channels)
        return parseInt(name);
    return 1;
}

// Otsu's threshold, holes filled, touching nuclei divided; then every outline is measured in all channels.
function measureNuclei(title, folder) {
    field = getImageID();
    channel = channelOf(nuclei);
    roiManager("reset");
    setSlice(channel);
    run("Duplicate...", "title=nuclei");
    getStatistics(area, mean, min, max);
    if (min == max) {
        print("No nuclei: " + title + " (nothing in channel " + channel + ")");
        empty++;
        return;
    }
    run("Gaussian Blur...", "sigma=" + blur);
    setAutoThreshold("Otsu dark");
    run("Convert to Mask");
    run("Fill Holes");
    run("Watershed");
    run("Analyze Particles...", "size=" + smallest + "-Infinity pixel show=[Count Masks] clear add");
    subfolder = replace(folder, "/", "_");
    saveAs("Tiff", results + "labels/" + subfolder + title + ".tif");
    if (roiManager("count") == 0) {
        print("No nuclei: " + title);
        empty++;
        return;
    }
    roiManager("save", results + "rois/" + subfolder + title + ".zip");
    selectImage(field);
    rename(subfolder + title);
    options = "objects=[ROI Manager] channels=all name=Nuclei table=Microsnoop clear csv=[" + results + "cells.csv]";
    if (measured > 0)
        options = options + " append";
    // a run("Measure Microsnoop Features", options) would end this macro at the first image that cannot be measured
    problem = call("microsnoop.MeasureCommand.macro", options);
    if (problem == "") {
        measured++;
    } else {
        print("Failed: " + subfolder + title + " (" + problem + ")");
        failed++;
    }
}
