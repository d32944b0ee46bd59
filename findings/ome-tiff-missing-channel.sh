#!/usr/bin/env bash
# Versions: tifffile 2026.11.8.
# Expected: an OME-TIFF set of two files (one per channel) of which one was not copied is refused, or has one channel.
# Seen: whichever of the two is missing, the array keeps two channels and the missing one is all 0, said only in the log.
#       A black channel has finite features, so it passes every later check.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v tifffile==2026.11.8 numpy==2.5.5
cd "$T"; v/bin/python - <<'PY'
import os
import uuid

import numpy as np
import tifffile

marks = [f"urn:uuid:{uuid.uuid4()}" for _ in range(2)]
files = [f"field_c{c}.ome.tif" for c in range(2)]
def description(own):
    blocks = "".join(f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="{files[c]}">{marks[c]}</UUID></TiffData>'
                     for c in range(2))
    return (f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{marks[own]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="64" SizeY="64" SizeC="2" '
            'SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/><Channel ID="Channel:0:1" '
            f'SamplesPerPixel="1"/>{blocks}</Pixels></Image></OME>')
def write(c):
    tifffile.imwrite(files[c], np.full((64, 64), 700 + c, np.uint16), description=description(c), metadata=None)

print("versions: tifffile", tifffile.__version__, "\nexpected: an error, or one channel")
write(0), write(1)
assert tifffile.imread(files[0])[:, 0, 0].tolist() == [700, 701]
os.remove(files[1])
second_gone = tifffile.imread(files[0])
write(1), os.remove(files[0])
first_gone = tifffile.imread(files[1])
for missing, array in (("second", second_gone), ("first", first_gone)):
    print("seen:", missing, "missing:", array.shape, "values by channel", [np.unique(c).tolist() for c in array])
assert second_gone.shape == (2, 64, 64) and (second_gone[0] == 700).all() and (second_gone[1] == 0).all()
assert first_gone.shape == (2, 64, 64) and (first_gone[0] == 0).all() and (first_gone[1] == 701).all()
PY
