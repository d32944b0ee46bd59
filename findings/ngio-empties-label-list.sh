#!/usr/bin/env bash
# Versions: ngio 1.1.3 reads a store of ome-zarr 0.21.0 (zarr 3.4.2, OME-Zarr 0.5).
# Expected: asking an image which labels it has only reads.
# Seen: ome-zarr writes labels/ without a "version" (with one, the list is read); `list_labels()` answers [] and
#       REWRITES the metadata on disk: the list ["nuclei"] is empty from then on for every other program too.
#       A store of format 0.4 (zarr 2) is read rightly and stays as it was. Opened with mode "r" the answer is the
#       same wrong [], but the file is left alone.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v ngio==1.1.3 ome-zarr==0.21.0 zarr==3.4.2 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
import json
from importlib.metadata import version
from pathlib import Path

import ngio
import numpy as np
import zarr
from ome_zarr.writer import write_image, write_labels

labels = np.zeros((96, 96), np.uint16)
labels[10:40, 10:40] = 1
def store(path, zarr_format):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    write_image(labels[None] * 9, group, axes="cyx")
    write_labels(labels, group, "nuclei", axes="yx")
def on_disk(path):
    return json.loads(Path(path).read_text())

print("versions: ngio", version("ngio"), "ome-zarr", version("ome-zarr"), "zarr", version("zarr"))
print("expected: list_labels() answers ['nuclei'] and leaves the store as it was")
store("a.zarr", 3)
meta = "a.zarr/labels/zarr.json"
before = on_disk(meta)["attributes"]["ome"]
read_only = ngio.open_ome_zarr_container("a.zarr", mode="r").list_labels()
untouched = on_disk(meta)["attributes"]["ome"]
answer = ngio.open_ome_zarr_container("a.zarr").list_labels()
after = on_disk(meta)["attributes"]["ome"]
store("b.zarr", 2)
old = ngio.open_ome_zarr_container("b.zarr").list_labels()
print("seen 0.5: before", before, "| mode r answers", read_only, "| default mode answers", answer, "| after", after)
print("seen 0.4: answers", old, "| after", on_disk("b.zarr/labels/.zattrs"))
assert before == untouched == {"labels": ["nuclei"]}
assert read_only == answer == [] and after["labels"] == []
assert old == ["nuclei"] and on_disk("b.zarr/labels/.zattrs")["labels"] == ["nuclei"]
assert (zarr.open_group("a.zarr", mode="r")["labels/nuclei/s0"][:] == labels).all()  # the pixels are still there
PY
