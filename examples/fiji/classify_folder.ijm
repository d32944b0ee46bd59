// Gives every outline of a folder of images a class, by a classifier that was saved before.
//
// In Fiji: drag this file onto the main window and press Run; it asks for folders and files.
// Without anybody there: ... -batch classify_folder.ijm "IMAGES,ROIS,CLASSIFIER,RESULTS.csv".
//
// Images are TIFF files with the channels of the classifier. The ROI files, as "Measure Folder" or the ROI Manager saves them,
// have the names of the images: field1.tif and field1.zip. The classifier is a .safetensors file of Plugins > Microsnoop >
// Classify Cells or of "microsnoop classify train". The results have a row per outline with its class. An image that cannot be
// classified is named with the reason, and the next one follows.

diameter = 0; // as for the cells that the classifier was trained on
rescale_constant = 2;

if (getArgument() != "") {
    parts = split(getArgument(), ",");
    if (parts.length != 4)
        exit("Give four folders and files with commas between them: " + getArgument());
    images = parts[0];
    outlines = parts[1];
    classifier = parts[2];
    results = parts[3];
} else {
    images = getDirectory("Folder with the images");
    outlines = getDirectory("Folder with the ROI files");
    classifier = File.openDialog("Saved classifier");
    results = getDirectory("Folder for the results") + "classes.csv";
}
if (!endsWith(images, "/")) images = images + "/";
if (!endsWith(outlines, "/")) outlines = outlines + "/";

setBatchMode(true);
run("Options...", "iterations=1 count=1 black"); // the first run() lets -batch find plugins, which call() needs
options = "objects=[ROI Manager] channels=all table=Classes clear model=[" + classifier + "] csv=[" + results + "]";
options = options + " rescale_constant=" + rescale_constant + " diameter=" + diameter;
classified = 0;
failed = 0;
names = getFileList(images);
for (i = 0; i < names.length; i++) {
    lower = toLowerCase(names[i]);
    if (endsWith(lower, ".tif") || endsWith(lower, ".tiff")) {
        problem = classify(names[i]);
        close("*");
        if (problem == "") {
            classified++;
        } else {
            print("Failed: " + names[i] + " (" + problem + ")");
            failed++;
        }
    }
}
print("Classified the outlines of " + classified + " images (" + failed + " failed): " + results);

// Classifies the outlines of an image; "" or what is wrong.
function classify(name) {
    rois = outlines + substring(name, 0, lastIndexOf(name, ".")) + ".zip";
    if (!File.exists(rois))
        return "there is no " + rois;
    problem = call("microsnoop.ImageFile.open", images + name);
    if (problem != "")
        return problem;
    roiManager("reset");
    roiManager("open", rois);
    append = "";
    if (classified > 0)
        append = " append";
    return call("microsnoop.ClassifyCommand.macro", options + append);
}
