#!/usr/bin/env bash
# Versions: scikit-image 0.26.0 over tifffile 2026.11.8.
# Expected: `skimage.io.imread` gives a TIFF of C grayscale planes as (C, Y, X), whatever C is.
# Seen: planes of 3 or 4 channels come back as (Y, X, C), of 2 or 5 as (C, Y, X), for 16-bit planes that the file names
#       as grayscale channels (OME-TIFF, axes CYX) too. A loop over `image[0]`, `image[1]`, .. that is right for the
#       five channels of Cell Painting takes rows of pixels for channels as soon as there are four, and a Z stack of
#       four planes is turned alike. tifffile itself never moves an axis.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v scikit-image==0.26.0 tifffile==2026.11.8 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import skimage.io
import tifffile

print("versions: scikit-image", version("scikit-image"), "tifffile", version("tifffile"))
print("expected: (C, 64, 50) for every C")
seen = {}
for axes in ("CYX", "ZYX"):
    for planes in (2, 3, 4, 5):
        name = f"{axes}{planes}.ome.tif"
        tifffile.imwrite(name, np.zeros((planes, 64, 50), np.uint16), photometric="minisblack", metadata={"axes": axes})
        assert tifffile.imread(name).shape == (planes, 64, 50)
        seen[axes, planes] = skimage.io.imread(name).shape
print("seen:", seen)
for (axes, planes), shape in seen.items():
    assert shape == ((64, 50, planes) if planes in (3, 4) else (planes, 64, 50)), (axes, planes, shape)
PY
