"""Write image files of many kinds, sound and damaged, for the tests of their readers."""

import imageio.v3 as imageio
import numpy as np
import tifffile
from PIL import Image

from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.images.planes import read_channels

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 60000, (3, 40, 50), np.uint16)
PLANE = PLANES[0]
GRAY = RNG.integers(0, 255, (40, 50), np.uint8)
RGB = RNG.integers(0, 255, (40, 50, 3), np.uint8)
LABELS = np.kron(np.array([[1, 0, 2, 0], [0, 3, 4, 0], [5, 0, 6, 8]], np.uint16), np.ones((12, 12), np.uint16))[:32]
LABELS = np.pad(LABELS, ((4, 4), (1, 1)))
SMALL_PLANES = RNG.integers(0, 60000, (6, 20, 30), np.uint16)


def write(path, array, **options):
    """An image file, by the library that is at home with its kind."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, **options)
    else:
        imageio.imwrite(path, array, **options)
    return path


def image_set(**planes):
    return ImageSet(1, {name: PlaneSource(path) for name, path in planes.items()})


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    return path


def text(path):
    path.write_text("hello, I am a text")
    return path


def animation(path):
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB[::-1])])
    return path


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


def touch(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, SMALL_PLANES[number % len(SMALL_PLANES)])


def read(sets, channels):
    return [read_channels(image_set, channels) for image_set in sets]
