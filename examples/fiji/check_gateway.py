"""Check that microsnoop works with the Fiji on this computer, through PyImageJ, and print a report.

    python examples/fiji/check_gateway.py [/path/to/Fiji.app]

Needs pip install "microsnoop[fiji]" and a Java; the last two lines need the plugin in that Fiji (microsnoop install
fiji). Without a path, PyImageJ downloads ImageJ at the first time. Every line of the report says whether one way to
pass an image or its objects gives the same numbers as the others; nothing of yours is changed. Exit code 1 if not.
"""

import os
import platform
import sys
import traceback

import jpype.config
import numpy as np

from fiji_bridge import measure, show

SIZE, DEPTHS, TOLERANCE = (90, 110), 3, 1e-4
random = np.random.default_rng(0)
stack = random.integers(0, 4000, (DEPTHS, *SIZE)).astype(np.uint16)
image = stack[0]
labels = np.zeros(SIZE, np.uint16)
labels[10:40, 10:50], labels[50:80, 60:100] = 1, 2


def start(fiji):
    """PyImageJ's gateway, headless."""
    import imagej

    # ImageJ's threads outlive their work; without this line, Python waits for them and does not end
    jpype.config.destroy_jvm = False
    return imagej.init(fiji, mode="headless") if fiji else imagej.init(mode="headless")


def features(frame):
    """The numbers of a table."""
    return frame.filter(like="Microsnoop_E").to_numpy()


class Tour:
    """Ways to pass an image and its objects; each must give the numbers of the first one."""

    def __init__(self, ij):
        import scyjava

        self.ij, self.java = ij, scyjava.jimport
        self.imp = ij.py.to_imageplus(image)
        self.rois = [self.java("ij.gui.Roi")(10, 10, 40, 30), self.java("ij.gui.Roi")(60, 50, 40, 30)]
        self.want = features(measure(ij, self.imp, labels))

    def same(self, rois, imp=None, **options):
        """Fail unless these objects give the same rows."""
        found = features(measure(self.ij, self.imp if imp is None else imp, rois, **options))
        assert found.shape == self.want.shape, f"{found.shape[0]} rows x {found.shape[1]}, not {self.want.shape}"
        difference = np.abs(found - self.want).max()
        assert difference <= TOLERANCE, f"numbers differ by {difference:.2g}"

    def overlay(self):
        """The ROIs as an overlay."""
        overlay = self.java("ij.gui.Overlay")()
        for roi in self.rois:
            overlay.add(roi)
        return overlay

    def default_objects(self):
        """Measure what a headless ImageJ measures by default."""
        self.imp.setOverlay(self.overlay())
        self.same("auto")

    def labeling(self):
        """An ImgLabeling of the labels."""
        kind = self.java("net.imglib2.roi.labeling.ImgLabeling")
        self.same(kind.fromImageAndLabelSets(self.ij.py.to_java(labels), self.ij.py.to_java([set(), {1}, {2}])))

    def roi_tree(self):
        """A ROITree of the ROIs."""
        self.same(self.ij.convert().convert(self.overlay(), self.java("net.imagej.roi.ROITree")))

    def stack(self):
        """Labels of a stack, plane by plane."""
        import xarray

        imp = self.ij.py.to_imageplus(xarray.DataArray(stack, dims=("pln", "row", "col")))
        rows = measure(self.ij, imp, np.stack([labels] * DEPTHS), slices="all")
        assert len(rows) == 2 * DEPTHS, f"{len(rows)} rows, not {2 * DEPTHS}"
        assert np.abs(features(rows)[:2] - self.want).max() <= TOLERANCE, "numbers differ"

    def color(self):
        """A color image from NumPy, by named dimensions; without them it is refused."""
        import xarray

        rgb = random.integers(0, 255, (*SIZE, 3)).astype(np.uint8)
        named = self.ij.py.to_imageplus(xarray.DataArray(rgb, dims=("row", "col", "ch")))
        assert features(measure(self.ij, named, labels)).shape == (2, 768), "no three channels"
        try:
            measure(self.ij, self.ij.py.to_imageplus(rgb), None)
        except ValueError:
            return
        raise AssertionError("an array without named dimensions was measured")

    def table(self):
        """A table, and its numbers back in Python."""
        frame = measure(self.ij, self.imp, labels)
        table = show(self.ij, frame, table="Cells")
        assert int(table.size()) == 2, f"{int(table.size())} rows in the table"
        value = table.getValue("Microsnoop_E003_Image", 1)
        assert abs(value - frame["Microsnoop_E003_Image"][1]) <= TOLERANCE, "numbers differ"
        show(self.ij, frame[:0], table="Nothing")

    def drawn(self):
        """Labels drawn by a column."""
        frame = measure(self.ij, self.imp, labels).assign(cluster=[1, 2])
        show(self.ij, frame, imp=self.imp, rois=labels, color="cluster")
        assert int(self.imp.getOverlay().size()) >= 1, "nothing was drawn"

    def plugin(self):
        """The plugin in this Fiji, as scripts call it."""
        self.imp.setOverlay(self.overlay())
        table = self.java("microsnoop.MeasureCommand").measure(self.imp, "objects=Overlay table=Cells clear")
        assert int(table.size()) == 2, f"{int(table.size())} rows in the table"
        value = table.getValue("Microsnoop_E003_Image", 1)
        assert abs(value - self.want[1, 3]) <= TOLERANCE, "numbers differ"

    def macro(self):
        """The plugin in a macro, with the image as the current one."""
        self.java("ij.WindowManager").setTempCurrentImage(self.imp)
        self.imp.setOverlay(self.overlay())
        said = self.java("microsnoop.MeasureCommand").macro("objects=Overlay table=Cells clear")
        assert not str(said), str(said)

    def steps(self):
        """All steps, with what they check."""
        to_java, process = self.ij.py.to_java, self.ij.py.to_imageplus(labels)
        dataset = self.ij.py.to_dataset(labels)
        return {
            "labels: ij.ImagePlus": lambda: self.same(process),
            "labels: ImageProcessor": lambda: self.same(process.getProcessor()),
            "labels: Dataset": lambda: self.same(dataset),
            "labels: xarray of a Dataset": lambda: self.same(self.ij.py.from_java(dataset)),
            "labels: image of ImgLib2": lambda: self.same(to_java(labels)),
            "labels: ImgLabeling": self.labeling,
            "labels: stack, plane by plane": self.stack,
            "ROIs: list": lambda: self.same(self.rois),
            "ROIs: Overlay": lambda: self.same(self.overlay()),
            "ROIs: overlay of the image": self.default_objects,
            "ROIs: ROITree": self.roi_tree,
            "color image from NumPy": self.color,
            "table of results": self.table,
            "labels drawn by a column": self.drawn,
            "plugin: MeasureCommand.measure": self.plugin,
            "plugin: MeasureCommand.macro": self.macro,
        }


def main(fiji=None):
    """Go through the ways, print a line for each; return how many failed."""
    ij = start(fiji)
    tour = Tour(ij)
    versions = f"ImageJ {ij.getVersion()}, Python {platform.python_version()} on {platform.system()}"
    print(f"{versions}, Java {tour.java('java.lang.System').getProperty('java.version')}")
    failed = 0
    for name, step in tour.steps().items():
        try:
            step()
            print(f"ok      {name}")
        except Exception as error:  # noqa: BLE001 of any kind: it is reported, and the tour goes on
            failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAILED  {name}: {type(error).__name__}: {str(error).splitlines()[0]} ({place.name}:{place.lineno})")
    print("all is well" if not failed else f"{failed} of {len(tour.steps())} failed: please send us this report")
    return failed


if __name__ == "__main__":
    code = int(main(*sys.argv[1:]) > 0)
    sys.stdout.flush()
    # at once: a thread of Java that calls Python while it ends would abort it
    os._exit(code)
