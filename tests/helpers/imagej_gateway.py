"""A small stand-in for PyImageJ's gateway, which needs jars that are on no registry that tests reach.

It does what PyImageJ 1.8 was seen to do with arrays, images of ImgLib2 (the real ones) and outlines. `init` stands for
`imagej.init`: copied as imagej.py into a folder on the path, this file stands for the package.
"""

import os

import jpype
import numpy as np


def to_imglib(array):
    """An array as an image of ImgLib2 with 16 bits."""
    storage = jpype.JArray(jpype.JShort)(array.astype(np.int16).ravel())
    return jpype.JClass("net.imglib2.img.array.ArrayImgs").unsignedShorts(storage, *reversed(array.shape))


class Gateway:
    """`ij.py` and `ij.convert()`, as far as the tests use them."""

    def __init__(self):
        self.py = self
        self._trees = {}

    def getVersion(self):
        return "stand-in"

    def to_imageplus(self, array):
        """Planes of an array; without names, the dimensions of (h, w, 3) are taken for rows, channels and columns."""
        dims = getattr(array, "dims", ("row", "ch", "col") if array.ndim == 3 else ("row", "col"))
        values = np.asarray(array)
        order = [dims.index(name) for name in ("pln", "ch", "row", "col") if name in dims]
        planes = values.transpose(order).reshape(-1, *(values.shape[dims.index(name)] for name in ("row", "col")))
        stack = jpype.JClass("ij.ImageStack")(planes.shape[2], planes.shape[1])
        kind = jpype.JByte if values.dtype == np.uint8 else jpype.JShort
        for number, plane in enumerate(planes, start=1):
            pixels = np.ascontiguousarray(plane).view(f"i{values.itemsize}")
            stack.addSlice(str(number), jpype.JArray(kind)(pixels.ravel()))
        imp = jpype.JClass("ij.ImagePlus")("", stack)
        if "ch" in dims:
            imp.setDimensions(len(planes), 1, 1)
        elif len(planes) > 1:
            imp.setDimensions(1, len(planes), 1)
        return imp

    def to_dataset(self, array):
        return to_imglib(array)

    def to_java(self, value):
        if isinstance(value, np.ndarray):
            return to_imglib(value)
        java = jpype.java.util
        return java.ArrayList([java.HashSet(java.ArrayList(list(labels))) for labels in value])

    def from_java(self, img):
        """An image of ImgLib2 as an array, whole."""
        shape = tuple(int(img.dimension(axis)) for axis in reversed(range(img.numDimensions())))
        values = memoryview(img.update(None).getCurrentStorageArray())
        return np.frombuffer(values, f"u{values.itemsize}").reshape(shape)

    def convert(self, value=None, kind=None):
        """The service, or what it makes of a value: a ROITree of an overlay, or the overlay of a ROITree."""
        if value is None:
            return self
        if str(kind.class_.getSimpleName()) == "ROITree":
            tree = kind()
            self._trees[int(tree.hashCode())] = value
            return tree
        return self._trees[int(value.hashCode())]


def init(folder=None, mode="gui"):
    """Start Java with the class path that the tests name; as with PyImageJ, one of its threads never ends."""
    import scyjava

    assert mode == "headless"
    scyjava.config.set_java_constraints(fetch="never")
    scyjava.config.endpoints.clear()
    scyjava.config.add_classpath(*os.environ["GATEWAY_CLASSPATH"].split(os.pathsep))
    scyjava.config.add_option("-Djava.awt.headless=true")
    scyjava.start_jvm()
    gateway = Gateway()
    gateway.thread = jpype.java.util.Timer()
    return gateway
