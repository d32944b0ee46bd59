"""Draw docs/images/fiji-*.png: the real windows of ImageJ, on a drawn field.

Run by hand, on a virtual screen:

xvfb-run -a -s "-screen 0 1400x1000x24" .venv/bin/python scripts/pictures/fiji_windows.py IMAGEJ [IJ.JAR]

IMAGEJ is a folder into which the plugin was installed (microsnoop install fiji IMAGEJ), with luts/glasbey.lut as Fiji
has it.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import jpype.config
import numpy as np
import scyjava
import tifffile
from PIL import Image, ImageGrab

from microsnoop_engine.images.synthetic import render_field

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def field():
    """Two drawn fields of different phenotypes side by side, with the labels of their nuclei."""
    halves = [
        render_field(phenotype, 1.0, np.random.default_rng(seed), shape=(360, 260), n_cells=14)
        for seed, phenotype in enumerate(("control", "compact_nuclei"))
    ]
    labels = halves[1][1]
    shifted = np.where(labels > 0, labels + halves[0][1].max(), 0)
    return np.concatenate([half[0] for half in halves], axis=2), np.hstack([halves[0][1], shifted])


def grab(name, windows, stacked=False):
    """Save the windows as one picture: beside each other, or all after the first below each other."""
    screen = ImageGrab.grab(xdisplay=os.environ["DISPLAY"])
    parts = []
    for window in windows:
        box = window.getBounds()
        parts.append(screen.crop((box.x, box.y, box.x + box.width, box.y + box.height)))
    if stacked:
        column = Image.new("RGB", (parts[1].width, sum(part.height + 12 for part in parts[1:]) - 12), "white")
        for place, part in enumerate(parts[1:]):
            column.paste(part, (0, sum(above.height + 12 for above in parts[1 : place + 1])))
        parts = [parts[0], column]
    width = sum(part.width for part in parts) + 12 * (len(parts) - 1)
    picture = Image.new("RGB", (width, max(part.height for part in parts)), "white")
    x = 0
    for part in parts:
        picture.paste(part, (x, 0))
        x += part.width + 12
    picture.quantize(128).save(IMAGES / name, optimize=True)
    print(name, picture.size, (IMAGES / name).stat().st_size)


def click(java, plotted, points):
    """Click the first point of a map."""
    canvas, plot = plotted.getCanvas(), plotted.getPlot()
    x, y = (int(scale(points[axis][0])) for axis, scale in enumerate((plot.scaleXtoPxl, plot.scaleYtoPxl)))
    event = java("java.awt.event.MouseEvent")
    clicked = event(canvas, event.MOUSE_CLICKED, 0, 0, canvas.screenX(x), canvas.screenY(y), 1, False)
    for listener in canvas.getMouseListeners():
        if "microsnoop" in str(listener.getClass().getName()):
            listener.mouseClicked(clicked)


def main(imagej, ij_jar="/usr/share/java/ij.jar"):
    """Open, measure, map."""
    jpype.config.destroy_jvm = False
    scyjava.config.set_java_constraints(fetch="never")
    scyjava.config.endpoints.clear()
    scyjava.config.add_classpath(ij_jar)
    scyjava.config.add_option(f"-Dplugins.dir={imagej}")
    scyjava.config.add_option(f"-Duser.home={tempfile.mkdtemp()}")
    scyjava.start_jvm()
    java = scyjava.jimport
    java("ij.ImageJ")()
    ij, windows = java("ij.IJ"), java("java.awt.Window")
    folder = Path(tempfile.mkdtemp())
    image, labels = field()
    metadata = {"axes": "CYX", "Labels": ["DNA", "ER", "Actin"], "mode": "composite"}
    tifffile.imwrite(folder / "field.tif", image, imagej=True, metadata=metadata)
    tifffile.imwrite(folder / "labels.tif", labels.astype(np.uint16), imagej=True)
    imp = ij.openImage(str(folder / "field.tif"))
    imp.show()
    manager = java("ij.plugin.frame.RoiManager")()
    numbered = ij.openImage(str(folder / "labels.tif")).getProcessor()
    for number in np.unique(labels)[1:].tolist():
        y, x = np.argwhere(labels == number)[0].tolist()
        wand = java("ij.gui.Wand")(numbered)
        wand.autoOutline(x, y, float(number), float(number))
        roi = java("ij.gui.PolygonRoi")(wand.xpoints, wand.ypoints, wand.npoints, 4)
        roi.setName(f"nucleus {number}")
        manager.addRoi(roi)
    imp.killRoi()

    def opened(title):
        while True:
            for window in windows.getWindows():
                if window.isShowing() and hasattr(window, "getTitle") and str(window.getTitle()).startswith(title):
                    time.sleep(1)
                    return window
            time.sleep(0.1)

    def choose(command):
        java("ij.WindowManager").setCurrentWindow(imp.getWindow())
        ij.doCommand(command)
        return opened(command)

    dialog = choose("Measure Microsnoop Features")
    dialog.setLocation(600, 200)
    dialog.getNumericFields().get(2).setText("2")
    dialog.getCheckboxes().get(0).setState(True)
    time.sleep(1)
    grab("fiji-dialog.png", [dialog])
    event = java("java.awt.event.ActionEvent")
    dialog.actionPerformed(event(dialog.getButtons()[0], 1001, "OK"))
    table = opened("Microsnoop Results")
    time.sleep(2)
    manager.setLocation(1100, 600)
    window = imp.getWindow()
    window.setLocation(0, 150)
    table.setLocation(560, 150)
    table.setSize(620, 400)
    time.sleep(1)
    window.toFront()
    table.toFront()
    time.sleep(1)
    grab("fiji-results.png", [window, table])
    ij.run("Microsnoop Embedding Map", "method=PCA color=cluster nearest")
    plotted = opened("Microsnoop map")
    plotted.setLocation(20, 150)
    time.sleep(1)
    grab("fiji-map.png", [plotted])
    click(java, plotted, plotted.getPlot().getDataObjectArrays(0))
    montage = opened("Nearest to")
    montage.setLocation(700, 150)
    time.sleep(1)
    grab("fiji-nearest.png", [montage])
    montage.close()
    plotted.close()
    imp.killRoi()
    imp.setOverlay(None)
    first = labels[:, : labels.shape[1] // 2].max()
    for number, roi in enumerate(manager.getRoisAsArray(), start=1):
        if number <= 7 or first < number <= first + 7:
            roi.setGroup(1 if number <= first else 2)
    java("ij.gui.Roi").setGroupNames("round,compact")
    imp.setDisplayMode(ij.GRAYSCALE)
    ij.setMinAndMax(imp, 0, 0.8 * image[0].max())
    dialog = choose("Classify Cells")
    dialog.setLocation(600, 200)
    dialog.getCheckboxes().get(2).setState(True)
    time.sleep(1)
    grab("fiji-classify-dialog.png", [dialog])
    dialog.actionPerformed(event(dialog.getButtons()[0], 1001, "OK"))
    log = opened("Log")
    time.sleep(2)
    table.setSize(800, 230)
    log.setLocation(560, 390)
    log.setSize(800, 230)
    for shown in (window, table, log):
        shown.toFront()
    time.sleep(1)
    grab("fiji-classes.png", [window, table, log], stacked=True)
    install = choose("Install Microsnoop Engine")
    install.getStringFields().get(0).setText("/home/me/microsnoop/engine")
    time.sleep(1)
    grab("fiji-install.png", [install])


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
