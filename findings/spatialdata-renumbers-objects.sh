#!/usr/bin/env bash
# Versions: spatialdata 0.8.0.
# Expected: labels to polygons and back by the library's own two functions gives the same objects where they were.
# Seen: `to_polygons` keeps the numbers 3, 7, 20 in its index, `rasterize` writes 1, 2, 3 (positions in the index; the
#       way back is in an attribute of the result only). The polygons lie half a pixel up and left of what
#       `get_centroids` says and lose a corner, so objects of 100 pixels return with 99.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v spatialdata==0.8.0 numpy==2.5.5 pandas==3.1.1
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from spatialdata import get_centroids, rasterize, to_polygons
from spatialdata.models import Labels2DModel

labels = np.zeros((100, 100), np.uint16)
labels[10:20, 10:20], labels[40:50, 50:60], labels[70:80, 20:30] = 3, 7, 20
element = Labels2DModel.parse(labels, dims=("y", "x"))
polygons = to_polygons(element)
back = rasterize(polygons, ["x", "y"], [0, 0], [100, 100], "global", target_unit_to_pixels=1)
numbers, pixels = np.unique(np.asarray(back.data), return_counts=True)
center = get_centroids(element).compute().loc[3, ["x", "y"]].tolist()
outline = [polygons.geometry.loc[3].centroid.x, polygons.geometry.loc[3].centroid.y]
print("versions: spatialdata", version("spatialdata"))
print("expected: objects 3, 7, 20 of 100 pixels each; one center for object 3")
print("seen: index", polygons.index.tolist(), "| rasterized", numbers[1:].tolist(), "of", pixels[1:].tolist(), "pixels",
      "| attribute", back.attrs["label_index_to_category"], "| center", center, "outline", np.round(outline, 3).tolist())
assert polygons.index.tolist() == [3, 7, 20] and numbers[1:].tolist() == [1, 2, 3]
assert back.attrs["label_index_to_category"] == {1: 3, 2: 7, 3: 20}
assert (pixels[1:] == 99).all() and center == [15, 15] and np.allclose(outline, 14.5)
PY
