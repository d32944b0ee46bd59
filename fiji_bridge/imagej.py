"""Turn pixels of original ImageJ's images (``ij.*``) into arrays, without ImageJ2."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import numpy as np

from microsnoop_engine.errors import MissingExtraError

_FILE = re.compile(r"\.(tiff?|png|jpe?g|gif|bmp)$", re.IGNORECASE)
_BITS = {8: np.uint8, 16: np.uint16, 32: np.float32}


class ImageJError(ValueError):
    """Refuse an image, a ROI or an option that cannot be used; the message says what to do."""


def java_class(name: str) -> Any:
    """Import a Java class by name; the Java virtual machine must run, and hold original ImageJ for names ``ij.*``."""
    try:
        import scyjava
    except ImportError:
        raise MissingExtraError("scyjava", "fiji", "driving ImageJ from Python") from None
    if not scyjava.jvm_started():
        raise ImageJError("no ImageJ runs in this Python: start one first, for example ij = imagej.init()")
    try:
        return scyjava.jimport(name)
    except TypeError:
        raise ImageJError(
            f"this ImageJ lacks the class {name}: start it with the original ImageJ, as imagej.init() does without "
            "add_legacy=False"
        ) from None


def is_java(value: Any, *names: str) -> bool:
    """Return whether a value is an object of one of these Java classes; some may not be on the class path."""
    import scyjava

    if not scyjava.jvm_started() or not scyjava.isjava(value):
        return False
    for name in names:
        try:
            if isinstance(value, scyjava.jimport(name)):
                return True
        except TypeError:
            continue
    return False


def headless() -> bool:
    """Return whether this ImageJ has no windows, and so no ROI Manager."""
    return bool(java_class("java.awt.GraphicsEnvironment").isHeadless())


def check_image(imp: Any) -> Any:
    """Return the image if it is an ``ij.ImagePlus``, else raise an ImageJError."""
    if not isinstance(imp, java_class("ij.ImagePlus")):
        raise ImageJError(
            f"{type(imp).__name__} is no ij.ImagePlus: open the image with ij.IJ.openImage(path), or convert it with "
            "ij.py.to_imageplus(image)"
        )
    return imp


def image_name(imp: Any) -> str:
    """Return the title of an image; ``image`` for one from Python, which has none."""
    return str(imp.getTitle() or "").strip() or "image"


def channel_names(imp: Any) -> list[str]:
    """Name the channels by the labels of their slices where these differ, else C1, C2, ..."""
    if int(imp.getBitDepth()) == 24:
        return ["Red", "Green", "Blue"]
    count = int(imp.getNChannels())
    if count == 1:
        return ["Image"]
    indices = [int(imp.getStackIndex(c + 1, 1, 1)) for c in range(count)]
    lines = [str(imp.getStack().getSliceLabel(index) or "").split("\n")[0].strip() for index in indices]
    names = [_channel_name(line) for line in lines]
    if all(map(_FILE.search, lines)):
        names = tell_apart(names)
    # images of ImageJ2 have the places of their slices for labels
    is_name = all(name and name != str(index) for name, index in zip(names, indices, strict=True))
    return names if is_name and len(set(names)) == count else [f"C{c + 1}" for c in range(count)]


def _channel_name(label: str) -> str:
    """Clean the label of a slice."""
    name = re.sub(r"^(?:[czt]:\d+/\d+ ?)+(?:- )?", "", label)
    return re.sub(r'[\s,;"\[\]]+', "_", _FILE.sub("", name).strip())


def tell_apart(names: list[str]) -> list[str]:
    """Leave of the names of the files of one field what they do not share; signs part their words.

    Examples
    --------
    >>> tell_apart(["A01_s1_DNA", "A01_s1_ER"]), tell_apart(["DNA-A01", "RNA-A01"])
    (['DNA', 'ER'], ['DNA', 'RNA'])
    """
    start, end = _shared(names), _shared([name[::-1] for name in names])
    return [name[start : max(start, len(name) - end)] for name in names]


def _shared(names: list[str]) -> int:
    """Count the letters of the whole words that all names begin with."""
    same = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))
    return len(re.sub(r"[^\W_]+$", "", names[0][:same]))


def stack_size(imp: Any) -> tuple[int, int]:
    """Return the numbers of depths (slices) and times (frames)."""
    return int(imp.getNSlices()), int(imp.getNFrames())


def places(imp: Any, slices: str) -> list[tuple[int, int]]:
    """List the depths and times (slice, frame), from 1, to measure: ``current`` or ``all``."""
    if slices == "current":
        _, z, t = imp.convertIndexToPosition(imp.getCurrentSlice())
        return [(int(z), int(t))]
    if slices != "all":
        raise ImageJError(f"slices is {slices!r}: it must be 'current' or 'all'")
    depths, times = stack_size(imp)
    return [(z, t) for t in range(1, times + 1) for z in range(1, depths + 1)]


def pixels(imp: Any, channels: list[int], place: tuple[int, int]) -> np.ndarray:
    """Copy the channels (from 0) at a depth and time, (c, h, w): uint8, uint16, int16 (signed) or float32."""
    rgb = int(imp.getBitDepth()) == 24
    planes = []
    for channel in channels:
        index = imp.getStackIndex(1 if rgb else channel + 1, *place)
        processor = imp.getStack().getProcessor(index)
        values = processor.getChannel(channel + 1) if rgb else processor.getPixels()
        planes.append(plane_of(values, int(imp.getHeight()), int(imp.getWidth())))
    image = np.stack(planes)
    if imp.getCalibration().isSigned16Bit():
        return (image.astype(np.int32) - 32768).astype(np.int16)
    return image


def plane_of(values: Any, height: int, width: int) -> np.ndarray:
    """Copy a Java array as a plane (h, w)."""
    view = memoryview(values)
    return np.frombuffer(view, _BITS[8 * view.itemsize]).reshape(height, width).copy()
