#!/usr/bin/env bash
# Versions: ome-zarr 0.21.0, ngio 1.1.3, ngff-zarr 0.50.0 (zarr 3.4.2).
# Expected: three writers given one image of 101 rows, pixel 1, halved, say alike where the rows of level 1 lie.
# Seen: all three store 50 rows, and say three things of the last one: scale 2.02 and shift 0.51 (its center is at 99.49),
#       scale 2.02 and no shift (98.98), scale 2.0 and shift 0.5 (98.5). An object moved from one level to another by the
#       metadata moves by up to a pixel, by the program that wrote the store. ome-zarr writes a shift of 0 for level 0.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v ome-zarr==0.21.0 ngio==1.1.3 ngff-zarr==0.50.0 zarr==3.4.2 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import ngff_zarr
import ngio
import numpy as np
import zarr
from ome_zarr.writer import write_image

image = np.random.default_rng(0).integers(0, 1000, (2, 101, 101)).astype(np.uint16)
write_image(image, zarr.open_group("ome-zarr", mode="w", zarr_format=3), axes="cyx")
ngio.create_ome_zarr_from_array("ngio", image, pixelsize=1, axes_names="cyx", levels=2)
levels = ngff_zarr.to_multiscales(ngff_zarr.to_ngff_image(image, dims=["c", "y", "x"]), scale_factors=[2])
ngff_zarr.to_ngff_zarr("ngff-zarr", levels, version="0.5")

def level1(path):
    group = zarr.open_group(path, mode="r")
    entry = group.attrs.get("ome", group.attrs)["multiscales"][0]["datasets"][1]
    steps = {step["type"]: step[step["type"]][1] for step in entry["coordinateTransformations"]}
    rows = group[entry["path"]].shape[1]
    return rows, round(steps["scale"], 4), steps.get("translation"), \
        round(steps.get("translation", 0) + steps["scale"] * (rows - 1), 4)

print("versions:", *[f"{name} {version(name)}" for name in ("ome-zarr", "ngio", "ngff-zarr", "zarr")])
print("expected: one geometry (rows, scale, translation, center of the last row)")
seen = {path: level1(path) for path in ("ome-zarr", "ngio", "ngff-zarr")}
print("seen:", *[f"{path} {what}" for path, what in seen.items()])
assert [what[0] for what in seen.values()] == [50, 50, 50]
assert seen["ome-zarr"] == (50, 2.02, 0.51, 99.49)
assert seen["ngio"] == (50, 2.02, None, 98.98)
assert seen["ngff-zarr"] == (50, 2.0, 0.5, 98.5)
PY
