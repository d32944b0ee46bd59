#!/usr/bin/env bash
# Versions: bioio-czi 3.0.1 under bioio 3.6.0 and 3.5.0, czifile 2026.10.14, pylibCZIrw 6.1.0 (also writes the file).
# Expected: a CZI whose transmitted channel has 8 bits and whose fluorescence has 16 (libCZI allows a type per channel)
#           is read with its values, or refused.
# Seen: bioio 3.5.0 raises (inconsistent PixelTypes). Since 3.6.0 `get_image_data` hands the request to the reader, which
#       takes the type of the first channel for all: 30000 becomes 48 (modulo 256), no warning; `.data` of the same
#       object still raises. czifile promotes to 16 bits. pylibCZIrw reads each channel in its own type.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment old bioio==3.5.0 bioio-czi==3.0.1 numpy==2.5.5
environment v bioio==3.6.0 bioio-czi==3.0.1 czifile==2026.10.14 pylibCZIrw==6.1.0 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import bioio_czi
import czifile
import numpy as np
from bioio import BioImage
from pylibCZIrw import czi

with czi.create_czi("mixed.czi") as file:
    file.write(data=np.full((64, 64), 200, np.uint8), plane={"C": 0})
    file.write(data=np.full((64, 64), 30000, np.uint16), plane={"C": 1})
    file.write_metadata("mixed", channel_names={0: "TL", 1: "GFP"}, scale_x=1e-7, scale_y=1e-7)

print("versions:", *[f"{name} {version(name)}" for name in ("bioio", "bioio-czi", "czifile", "pylibCZIrw")])
print("expected: TL 200, GFP 30000, or an error")
with czi.open_czi("mixed.czi") as file:
    own = [file.read(plane={"C": c}) for c in (0, 1)]
read = BioImage("mixed.czi", reader=bioio_czi.Reader).get_image_data("CYX")
promoted = czifile.imread("mixed.czi")
seen = {"pylibCZIrw": own, "bioio": list(read), "czifile": list(promoted)}
seen = {name: [(str(c.dtype), int(c.flat[0])) for c in channels] for name, channels in seen.items()}
print("seen:", seen)
assert seen["pylibCZIrw"] == [("uint8", 200), ("uint16", 30000)]
assert seen["bioio"] == [("uint8", 200), ("uint8", 30000 % 256)]
assert seen["czifile"] == [("uint16", 200), ("uint16", 30000)]
PY
cat > refuses.py <<'PY'
import sys
from importlib.metadata import version

import bioio_czi
from bioio import BioImage

image = BioImage("mixed.czi", reader=bioio_czi.Reader)
try:
    said = str((image.data if sys.argv[1] == "data" else image.get_image_data("CYX")).dtype)
except Exception as error:
    said = type(error).__name__
print("seen: bioio", version("bioio"), sys.argv[1], "->", said)
assert said == "PylibCZI_PixelTypeException"
PY
v/bin/python -W ignore refuses.py data
old/bin/python -W ignore refuses.py get_image_data
