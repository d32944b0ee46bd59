#!/usr/bin/env bash
# Versions: ndstorage 0.1.18 (Micro-Manager's own reader and writer of NDTiff), tifffile 2026.11.8.
# Expected: two readers of one NDTiff data set give the same array.
# Seen: the same shape and other channels. tifffile keeps the order of acquisition (GFP first), ndstorage sorts the
#       channel names (DAPI first). tifffile shows stage positions as axis R (elsewhere its letter for tiles), not as
#       separate series: three fields of one channel look like a stack. Asked for channels by number, one program
#       measures DAPI where the other measures GFP.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v ndstorage==0.1.18 tifffile==2026.11.8 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import tifffile
from ndstorage import Dataset, NDTiffDataset

value = {"GFP": 1, "DAPI": 2}
writer = NDTiffDataset(".", name="run", writable=True, summary_metadata={})
for position in range(3):
    for channel in ("GFP", "DAPI"):
        pixels = np.full((32, 40), 100 * position + value[channel], np.uint16)
        writer.put_image({"position": position, "channel": channel}, pixels, {})
writer.finish()
writer.close()
print()

with tifffile.TiffFile("run_1/run_NDTiffStack.tif") as file:
    series = [(s.kind, s.axes) for s in file.series]
    first = file.asarray()
own = Dataset("run_1")
second = np.asarray(own.as_array())
print("\nversions: ndstorage", version("ndstorage"), "tifffile", version("tifffile"))
print("expected: positions apart, channels alike (GFP ends in 1, DAPI in 2)")
print("seen: tifffile", series, first.shape, first[..., 0, 0].tolist())
print("seen: ndstorage", {k: list(v) for k, v in own.axes.items()}, second.shape, second[..., 0, 0].tolist())
assert series == [("ndtiff", "RCYX")] and first.shape == second.shape == (3, 2, 32, 40)
assert first[..., 0, 0].tolist() == [[1, 2], [101, 102], [201, 202]]
assert second[..., 0, 0].tolist() == [[2, 1], [102, 101], [202, 201]]
PY
