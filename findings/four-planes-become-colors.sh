#!/usr/bin/env bash
# Versions: tifffile 2026.11.8 and scikit-image 0.26.0 write; Pillow 13.0.0 and bioio 3.6.0 with bioio-tifffile 1.3.1 read.
# Expected: planes (n, h, w) of 16 bits come back as n planes of the same numbers, whatever n is, or as an error.
# Seen: if the user does not say what they are, 2 and 5 planes become gray pages, 3 become red, green and blue, and 4 red,
#       green, blue and transparency. Pillow then gives the numbers modulo 256 (of pixels stored side by side the upper
#       byte), and most programs drop the fourth as alpha; bioio's `get_image_data("CYX")` is the first plane alone.
#       `photometric="minisblack"` keeps planes.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v tifffile==2026.11.8 scikit-image==0.26.0 pillow==13.0.0 bioio==3.6.0 bioio-tifffile==1.3.1 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import bioio_tifffile
import numpy as np
import skimage.io
import tifffile
from bioio import BioImage
from PIL import Image

packages = ("tifffile", "scikit-image", "pillow", "bioio", "bioio-tifffile")
print("versions:", ", ".join(f"{name} {version(name)}" for name in packages))
print("expected: planes of 1000, 2000, ... come back as planes of 1000, 2000, ...")


def write_and_read(count, write, name="planes.tif"):
    write(name, np.stack([np.full((20, 30), 1000 * (n + 1), np.uint16) for n in range(count)]))
    with tifffile.TiffFile(name) as tiff:
        kind = f"{len(tiff.pages)} {tiff.pages[0].photometric.name}"
    with Image.open(name) as picture:
        pillow = picture.mode, picture.getpixel((0, 0))
    data = BioImage(name, reader=bioio_tifffile.Reader).get_image_data("CYX")
    return kind, pillow, data[:, 0, 0].tolist()


seen = {}
for count in (2, 3, 4, 5):
    for write in (tifffile.imwrite, skimage.io.imsave):
        found = write_and_read(count, write)
        print("seen:", count, "planes by", write.__module__.split(".")[0], "| pages", found[0], "| Pillow", found[1], "| bioio", found[2])
        assert seen.setdefault(count, found) == found
assert seen[2][:2] == ("2 MINISBLACK", ("I;16", 1000)) and seen[5][:2] == ("5 MINISBLACK", ("I;16", 1000))
assert seen[3] == ("1 RGB", ("RGB", (1000 % 256, 2000 % 256, 3000 % 256)), [1000])
assert seen[4] == ("1 RGB", ("RGBA", (1000 % 256, 2000 % 256, 3000 % 256, 4000 % 256)), [1000])
tifffile.imwrite("side.tif", np.full((20, 30, 3), 1000, np.uint16), photometric="rgb")
with Image.open("side.tif") as picture:
    print("seen: colors side by side | Pillow", picture.mode, picture.getpixel((0, 0)))
    assert picture.getpixel((0, 0)) == (1000 >> 8,) * 3
gray = write_and_read(4, lambda name, planes: tifffile.imwrite(name, planes, photometric="minisblack"))
print("seen: 4 planes as minisblack | pages", gray[0], "| Pillow", gray[1])
assert gray[:2] == ("4 MINISBLACK", ("I;16", 1000))
PY
