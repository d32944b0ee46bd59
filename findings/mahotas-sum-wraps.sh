#!/usr/bin/env bash
# Versions: mahotas 1.4.19; scipy 1.18.1 beside it.
# Expected: `labeled_sum` of an image over a label image is the sum per object, as numpy and scipy.ndimage give it.
# Seen: it adds up in the type of the image. An 8-bit object of 1600 pixels of value 200 has the sum 0 (320000 modulo
#       256), in 16 bits 57856; a boolean image answers True, not a count. numpy's own sum widens the type.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v mahotas==1.4.19 scipy==1.18.1 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import mahotas
import numpy as np
import scipy.ndimage

labels = np.zeros((60, 60), int)
labels[10:50, 10:50] = 1
image = np.full(labels.shape, 200)
kinds = (np.uint8, np.uint16, np.uint32, float, bool)
def one(kind):
    return mahotas.labeled_sum(image.astype(kind), labels)[1].item()

seen = {kind.__name__: one(kind) for kind in kinds}
other = scipy.ndimage.sum(image.astype(np.uint8), labels, 1).item()
print("versions: mahotas", version("mahotas"), "scipy", version("scipy"))
print("expected: 320000 in every type (1600 of a boolean image)\nseen:", seen, "| scipy.ndimage of uint8:", other)
assert seen == {"uint8": 0, "uint16": 320000 % 65536, "uint32": 320000, "float": 320000.0, "bool": True}
assert other == 320000 and image.astype(np.uint8)[labels == 1].sum() == 320000
PY
