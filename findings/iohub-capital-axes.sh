#!/usr/bin/env bash
# Versions: iohub 0.3.11 writes; ngio 1.1.3, bioio-ome-zarr 3.8.1, ngff-zarr 0.50.0, ome-zarr-models 1.8.1 read.
# Expected: programs of the OME-Zarr field read each other's default output, or a validator says which one is at fault.
# Seen: iohub names the axes T, C, Z, Y, X. The specification fixes types and order and only shows names in lower case:
#       the validator passes the store, bioio reads it, ngff-zarr opens it with dims in capitals,
#       ngio refuses the whole image. None is wrong by the letter.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment w iohub==0.3.11
environment r ngio==1.1.3 bioio-ome-zarr==3.8.1 ngff-zarr==0.50.0 ome-zarr-models==1.8.1
cd "$T"; w/bin/python -W ignore - <<'PY'
import numpy as np
from iohub import open_ome_zarr

with open_ome_zarr("plate.zarr", layout="hcs", mode="w-", channel_names=["DAPI", "GFP"]) as plate:
    plate.create_position("A", "1", "0").create_image("0", np.ones((1, 2, 1, 64, 48), np.uint16))
PY
r/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import bioio_ome_zarr
import ngff_zarr
import ngio
import ome_zarr_models
import zarr

field = "plate.zarr/A/1/0"
names = "ngio bioio-ome-zarr ngff-zarr ome-zarr-models"
print("versions: iohub 0.3.11", *[f"{name} {version(name)}" for name in names.split()])
print("expected: four readers read iohub's default output")
axes = [axis["name"] for axis in zarr.open_group(field, mode="r").attrs["ome"]["multiscales"][0]["axes"]]
valid = type(ome_zarr_models.open_ome_zarr(zarr.open_group(field, mode="r"))).__name__
order = bioio_ome_zarr.Reader(field).dims.order
dims = tuple(ngff_zarr.from_ngff_zarr(field).images[0].dims)
try:
    refusal = "opened " + str(ngio.open_ome_zarr_container(field).get_image())
except Exception as error:
    refusal = f"{type(error).__name__}: {error}"
print("seen: axes", axes, "| ome-zarr-models:", valid, "| bioio:", order, "| ngff-zarr:", dims, "| ngio:", refusal[:60])
assert axes == list("TCZYX") and valid == "Image" and order == "TCZYX" and dims == tuple("TCZYX")
assert "Invalid axis name 'T'" in refusal
PY
