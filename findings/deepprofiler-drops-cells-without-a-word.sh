#!/usr/bin/env bash
# Versions: deepprofiler 0.5.1, tensorflow-cpu 2.15.1, pandas 2.3.3 (about 1 GB in the temporary folder).
# Expected: the command of the package runs; a field whose file of locations has no cells, and one whose file is missing or
#           has another name, are told apart; the exit status says so.
# Seen: the command `deepprofiler` itself ends in a TypeError, `python -m deepprofiler` works. Both fields print the same
#       line "No cells to profile", have no file of features, and the exit status is 0: a misnamed file of locations
#       looks like a well in which all cells died.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
PYTHON="${PYTHON_3_11:-python3.11}" environment v deepprofiler==0.5.1 tensorflow-cpu==2.15.1 pandas==2.3.3 "setuptools<81"
cd "$T"
v/bin/python -W ignore - <<'PY'
import json
from pathlib import Path

import numpy as np
import pandas as pd
import skimage.io

inputs = Path("project/inputs")
for name in ("images", "locations/P1", "metadata", "config"):
    (inputs / name).mkdir(parents=True)
rows = []
for well in ("A01", "A02", "A03"):
    skimage.io.imsave(inputs / "images" / f"{well}.tif", np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8))
    rows.append({"Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": 1, "DNA": f"{well}.tif", "Class": "x"})
pd.DataFrame(rows).to_csv(inputs / "metadata/index.csv", index=False)
names = ["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"]
pd.DataFrame([[90, 80], [120, 110]], columns=names).to_csv(inputs / "locations/P1/A01-1-Nuclei.csv", index=False)
pd.DataFrame([], columns=names).to_csv(inputs / "locations/P1/A02-1-Nuclei.csv", index=False)
pd.DataFrame([[90, 80]], columns=names).to_csv(inputs / "locations/P1/A03-1-Cells.csv", index=False)
model = {"crop_generator": "crop_generator", "params": {"conv_blocks": 0, "batch_size": 8}}
images = {"file_format": "tif", "bits": 8, "channels": ["DNA"], "width": 200, "height": 200}
locations = {"mode": "single_cells", "box_size": 64, "view_size": 64, "mask_objects": False}
(inputs / "config/config.json").write_text(json.dumps({
    "dataset": {"metadata": {"label_field": "Class", "control_value": "x"}, "images": images, "locations": locations},
    "prepare": {"compression": {"implement": False}},
    "train": {"partition": {"targets": ["Class"]}, "model": model, "sampling": {"workers": 1},
              "validation": {"batch_size": 8}},
    "profile": {"feature_layer": "pool5", "checkpoint": "None", "batch_size": 8}}))
PY
arguments=(--root="$T/project" --config=config.json --gpu=-1 profile)
echo; v/bin/python -c 'from importlib.metadata import version; print("versions: deepprofiler", version("deepprofiler"), "tensorflow-cpu", version("tensorflow-cpu"))'
status=0; v/bin/deepprofiler "${arguments[@]}" >command.log 2>&1 || status=$?
echo "seen: the command ends with status $status: $(tail -1 command.log)"
[ "$status" = 1 ] && tail -1 command.log | grep -q "TypeError: 'NoneType' object does not support item assignment"
v/bin/python -m deepprofiler "${arguments[@]}" >module.log 2>&1
echo "seen: python -m deepprofiler ends with status 0, and writes $(cd project/outputs/results/features && find . -name '*.npz' | sort | xargs)"
grep "No cells to profile" module.log | sed "s|$T/||"
[ "$(find project/outputs/results/features -name '*.npz' | wc -l)" = 1 ]
[ "$(grep -c "No cells to profile" module.log)" = 2 ]
