#!/usr/bin/env bash
# Versions: napari 0.9.2, scikit-image 0.26.0.
# Expected: a table with a row per object, as regionprops_table makes it with its column "label", belongs to the objects in
#           their order when it becomes the features of a labels layer.
# Seen: without a column called "index", row number i belongs to label i, and rows count from 0, the background. So label 1 is
#       shown with the numbers of the second object, and the last label with none. The column "label" is not looked at.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v napari==0.9.2 scikit-image==0.26.0
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from napari.layers import Labels
from skimage.measure import regionprops_table

labels = np.zeros((6, 12), int)
labels[1:3, 1:3], labels[1:5, 4:7], labels[0:6, 8:12] = 1, 2, 3
table = pd.DataFrame(regionprops_table(labels, properties=("label", "area")))

def shown(features):
    layer = Labels(labels, features=features)
    return {number: layer.get_status(np.argwhere(labels == number)[0])["value"] for number in (1, 2, 3)}

plain, indexed = shown(table), shown(table.rename(columns={"label": "index"}))
print("\nversions: napari", version("napari"), "scikit-image", version("scikit-image"))
print("areas by label:", dict(zip(table["label"], table["area"].astype(int))))
print("expected: the areas 4, 12 and 24 under labels 1, 2 and 3")
print("seen without a column 'index':", plain)
print("seen with it:", indexed)
assert "area: 12" in plain[1] and "area: 24" in plain[2] and "No Properties" in plain[3]
assert "area: 4" in indexed[1] and "area: 12" in indexed[2] and "area: 24" in indexed[3]
PY
