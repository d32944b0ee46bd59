#!/usr/bin/env bash
# Versions: ngff-zarr 0.50.0, its default method.
# Expected: the pyramid of a label image holds only the labels that level 0 has.
# Seen: the default is a Gaussian, for integer label images too: where objects 1 and 1000 touch, level 1 has objects
#       that never were. `Methods.DASK_IMAGE_NEAREST` keeps to the labels. Nothing is said.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v "ngff-zarr[dask-image]==0.50.0" numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from ngff_zarr import Methods, to_multiscales, to_ngff_image

labels = np.zeros((101, 101), np.uint16)
labels[10:50, 10:50], labels[50:80, 30:80] = 1, 1000
def objects(**how):
    levels = to_multiscales(to_ngff_image(labels, dims=["y", "x"]), scale_factors=[2, 4], **how)
    return [set(np.unique(np.asarray(image.data)).tolist()) - {0} for image in levels.images]

print("versions: ngff-zarr", version("ngff-zarr"), "numpy", np.__version__)
print("expected: objects 1 and 1000 at every level")
default, nearest = objects(), objects(method=Methods.DASK_IMAGE_NEAREST)
print("seen: default method, numbers of objects by level:", [len(s) for s in default], "; level 1:", sorted(default[1]))
print("seen: nearest, objects by level:", [sorted(s) for s in nearest])
assert default[0] == {1, 1000}
assert len(default[1]) > 5 and len(default[2]) > len(default[1])
assert all(s == {1, 1000} for s in nearest)
PY
