// Finds the nuclei in every image of a folder with ImageJ's own commands, and measures them with Microsnoop.
//
// In Fiji: drag this file onto the main window and press Run; it asks for the two folders.
// Without anybody there: ... -batch measure_folder.ijm "IMAGES,RESULTS,DNA" (images, results, channel of the nuclei).
//
// Images are TIFF files with several channels, or one file per channel, named alike but for the channel at the end
// (A01_s1_DNA.tif, A01_s1_ER.tif; or DNA.tif, ER.tif in a folder for each field). In the results folder, cells.csv has a row
// per nucleus with 256 numbers per channel; labels/ has the nuclei as label images, rois/ as ROI files to look at in ImageJ.
// An image that cannot be measured (a stack, a file that is cut off, ...) is named with the reason, and the next one follows.
//
// In this language, both sides of && and || are always evaluated, and return takes no comparison.

smallest = 40; // nuclei have at least so many pixels
blur = 2;      // smooths noise before the threshold, in pixels

nuclei = "DNA";
if (getArgument() != "") {
    folders = foldersOf(getArgument());
    images = folders[0];
    results = folders[1];
    if (folders.length == 3)
        nuclei = folders[2];
} else {
    images = getDirectory("Folder with the images");
    results = getDirectory("Folder for the results");
    nuclei = getString("Channel of the nuclei (name or number)", nuclei);
}
if (!endsWith(images, "/")) images = images + "/";
if (!endsWith(results, "/")) results = results + "/";
if (images == results) exit("The folder for the results is that of the images: choose another one.");
File.makeDirectory(results);
File.makeDirectory(results + "labels");
File.makeDirectory(results + "rois");

setBatchMode(true);
run("Options...", "iterations=1 count=1 black"); // the first run() lets -batch find plugins, which call() needs
setOption("ScaleConversions", true);
measured = 0;
empty = 0;
failed = 0;
skipped = 0;
started = getTime();
walk("");
print("Measured " + measured + " images in " + (getTime() - started) / 1000 + " s (" + empty + " without nuclei, "
    + failed + " failed, " + skipped + " files skipped that are no TIFF images): " + results + "cells.csv");

// The parts of "IMAGES,RESULTS,CHANNEL": folders may have commas in their names.
function foldersOf(argument) {
    border = -1;
    for (i = 0; i < lengthOf(argument); i++)
        if (substring(argument, i, i + 1) == "," && File.isDirectory(substring(argument, 0, i)))
            border = i;
    if (border < 0)
        exit("No folder of images and folder of results, with a comma between them: " + argument);
    images = substring(argument, 0, border);
    results = substring(argument, border + 1);
    comma = lastIndexOf(results, ",");
    if (comma < 0 || indexOf(substring(results, comma), "/") >= 0)
        return newArray(images, results);
    return newArray(images, substring(results, 0, comma), substring(results, comma + 1));
}

// Measures the images of a folder and of the folders in it, but for results of this macro.
function walk(folder) {
    names = getFileList(images + folder);
    if (holdsResults(names)) {
        print("Skipped: " + folder + " (results of this macro)");
        return;
    }
    for (i = 0; i < names.length; i++) {
        if (endsWith(names[i], "/")) {
            walk(folder + names[i]);
        } else if (isImage(names[i]) == false) {
            skipped++;
        } else if (isOtherChannel(names[i], names) == false) {
            problem = measureFile(folder, names[i], names);
            if (problem != "") {
                print("Failed: " + folder + names[i] + " (" + problem + ")");
                failed++;
            }
            close("*");
        }
    }
}

// Does a folder hold results: labels and ROIs, and no images?
function holdsResults(names) {
    found = 0;
    for (i = 0; i < names.length; i++) {
        if (isImage(names[i]))
            return false;
        if (names[i] == "labels/" || names[i] == "rois/")
            found++;
    }
    if (found == 2)
        return true;
    return false;
}

function isImage(name) {
    lower = toLowerCase(name);
    return endsWith(lower, ".tif") || endsWith(lower, ".tiff");
}

// The name of a file without its ending.
function stemOf(name) {
    return substring(name, 0, lastIndexOf(name, "."));
}

// Is this the file of the nuclei of a field? Its name ends in their channel, alone or after a sign such as _.
function isOfNuclei(name) {
    if (isImage(name) == false)
        return false;
    stem = stemOf(name);
    if (stem == nuclei)
        return true;
    if (endsWith(stem, nuclei) == false)
        return false;
    before = lengthOf(stem) - lengthOf(nuclei);
    return matches(substring(stem, before - 1, before), "[^A-Za-z0-9]");
}

// The name of the file of nuclei that belongs to a file: of those that are named alike up to the channel, the one that has
// most in common with it (A01_s2_DNA.tif, not A01_DNA.tif, for A01_s2_ER.tif); "" if there is none.
function fileOfNuclei(name, names) {
    found = "";
    for (k = 0; k < names.length; k++)
        if (isOfNuclei(names[k]))
            if (startsWith(name, fieldOf(names[k])) && lengthOf(names[k]) > lengthOf(found))
                found = names[k];
    return found;
}

// What a file of nuclei has in common with the other channels of its field.
function fieldOf(name) {
    return substring(name, 0, lengthOf(stemOf(name)) - lengthOf(nuclei));
}

// The files of the channels of a field, if this is the file of its nuclei, else none.
function channelFiles(name, names) {
    found = newArray(0);
    if (isOfNuclei(name))
        for (j = 0; j < names.length; j++)
            if (startsWith(names[j], fieldOf(name)) && isImage(names[j])) {
                owner = fileOfNuclei(names[j], names);
                if (owner == name)
                    found = Array.concat(found, names[j]);
            }
    return found;
}

// Is this the file of a channel that is opened together with that of the nuclei?
function isOtherChannel(name, names) {
    if (isOfNuclei(name))
        return false;
    owner = fileOfNuclei(name, names);
    if (owner == "")
        return false;
    return true;
}

// Opens an image with all its channels and measures its nuclei; "" or what is wrong.
function measureFile(folder, name, names) {
    files = channelFiles(name, names);
    if (files.length == 0) {
        files = newArray(name);
        for (j = 0; j < names.length; j++)
            if (isOfNuclei(names[j]))
                return "there is no file of the channel " + nuclei + " that belongs to it";
    }
    for (j = 0; j < files.length; j++) {
        problem = call("microsnoop.ImageFile.open", images + folder + files[j]);
        if (problem != "")
            return problem;
        if (j == 0)
            getDimensions(width, height, channels, slices, frames);
        if (getWidth() != width || getHeight() != height || (files.length > 1 && nSlices > 1))
            return files[j] + " is not one plane of " + width + " x " + height + " pixels as " + files[0];
        if (files.length > 1)
            rename(substring(stemOf(files[j]), lengthOf(fieldOf(name))));
    }
    if (slices * frames > 1)
        return "a stack of " + slices + " slices and " + frames + " frames: project it with Image > Stacks > Z Project, or save "
            + "its planes. If they are channels, say so with Image > Properties, and save it";
    if (files.length > 1) {
        run("Images to Stack", "use");
        run("Properties...", "channels=" + files.length + " slices=1 frames=1");
    }
    title = replace(folder, "/", "_") + stemOf(name);
    if (File.exists(results + "labels/" + title + ".tif"))
        if (parseFloat(File.lastModified(results + "labels/" + title + ".tif")) >= started)
            return "the results of another image are called " + title + " too: rename one of them";
    rename(title);
    problem = measureNuclei(title);
    return problem;
}

// The number of the channel of the nuclei: by its name or number; 0 if there is none.
function channelOf(name) {
    getDimensions(width, height, channels, slices, frames);
    for (c = 1; c <= channels; c++) {
        setSlice(c);
        if (channels == 1 || getInfo("slice.label") == name)
            return c;
    }
    if (matches(name, "\\d+") && parseInt(name) >= 1 && parseInt(name) <= channels)
        return parseInt(name);
    return 0;
}

// Otsu's threshold, holes filled, touching nuclei divided; then every outline is measured in all channels.
function measureNuclei(title) {
    field = getImageID();
    channel = channelOf(nuclei);
    if (bitDepth() == 24)
        return "a color picture: split its channels, or save it as a composite";
    if (channel == 0)
        return "no channel \"" + nuclei + "\": give its number";
    roiManager("reset");
    setSlice(channel);
    run("Duplicate...", "title=nuclei");
    getStatistics(area, mean, min, max);
    if (min == max) {
        print("No nuclei: " + title + " (nothing in channel " + channel + ")");
        empty++;
        return "";
    }
    run("Gaussian Blur...", "sigma=" + blur);
    setAutoThreshold("Otsu dark");
    run("Convert to Mask");
    run("Fill Holes");
    run("Watershed");
    run("Analyze Particles...", "size=" + smallest + "-Infinity pixel show=[Count Masks] clear add");
    saveAs("Tiff", results + "labels/" + title + ".tif");
    if (roiManager("count") == 0) {
        print("No nuclei: " + title);
        empty++;
        return "";
    }
    roiManager("save", results + "rois/" + title + ".zip");
    selectImage(field);
    options = "objects=[ROI Manager] channels=all name=Nuclei table=Microsnoop clear csv=[" + results + "cells.csv]";
    if (measured > 0)
        options = options + " append";
    // a run("Measure Microsnoop Features", options) would end this macro at the first image that cannot be measured
    problem = call("microsnoop.MeasureCommand.macro", options);
    if (problem == "")
        measured++;
    return problem;
}
