#!/usr/bin/env bash
# Versions: pylibCZIrw 6.1.0, aicspylibczi 4.0.1, bioio-czi 3.0.1 (bioio 3.5.0), czifile 2026.10.14.
# Expected: one color CZI has one order of colors in all readers, or an axis name that says which.
# Seen: CZI stores Bgr24. Three readers hand out blue, green, red, czifile turns it to red, green, blue; the shapes are
#       alike. bioio names the axis S and no order, and `get_image_data("CYX")` drops S: one plane of blue is left of
#       the picture, under the name "Channel:0", with no warning.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v bioio==3.5.0 bioio-czi==3.0.1 aicspylibczi==4.0.1 czifile==2026.10.14 pylibCZIrw==6.1.0 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import bioio_czi
import czifile
import numpy as np
from aicspylibczi import CziFile
from bioio import BioImage
from pylibCZIrw import czi

with czi.create_czi("color.czi") as file:  # Bgr24: the first of the three is blue
    file.write(data=np.broadcast_to(np.array([200, 90, 10], np.uint8), (64, 64, 3)).copy())

names = "pylibCZIrw aicspylibczi bioio-czi czifile"
print("versions:", *[f"{name} {version(name)}" for name in names.split()])
print("expected: the same three numbers from every reader")
with czi.open_czi("color.czi") as file:
    seen, kinds = {"pylibCZIrw": file.read()}, file.pixel_types
assert kinds == {0: "Bgr24"}, kinds
seen["aicspylibczi"] = CziFile("color.czi").read_image()[0]
image = BioImage("color.czi", reader=bioio_czi.Reader)
seen["bioio-czi"] = image.get_image_data("YXS")
seen["czifile"] = czifile.imread("color.czi")
seen = {name: np.asarray(pixels).reshape(-1, 3)[0].tolist() for name, pixels in seen.items()}
plane = image.get_image_data("CYX")
print("seen:", seen, "| bioio CYX:", plane.shape, "of value", np.unique(plane).tolist())
assert seen["pylibCZIrw"] == seen["aicspylibczi"] == seen["bioio-czi"] == [200, 90, 10]
assert seen["czifile"] == [10, 90, 200]
assert plane.shape == (1, 64, 64) and np.unique(plane).tolist() == [200]
PY
