#!/usr/bin/env bash
# Versions: opencv-python-headless 5.0.0.93 and 4.12.0.88.
# Expected: a function that only moves pixels refuses a type it does not know or returns it as it came.
# Seen: both take int64 and uint64 label images (int64 is numpy's own integer) and return int32: number 2**31 + 5 becomes
#       -2147483643, negative, so background for most programs. The narrower uint32 is the one that 4.12 refuses; 5.0
#       keeps it as it is.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment new opencv-python-headless==5.0.0.93 numpy==2.2.6
environment old opencv-python-headless==4.12.0.88 numpy==2.2.6
cat > "$T/flip.py" <<'PY'
import sys

import cv2
import numpy as np

def flip(kind):
    try:
        out = cv2.flip(np.array([[1, 2**31 + 5]], kind), 1)
        return out.dtype.name, out[0].tolist()
    except cv2.error as error:
        return "refused"
seen = {kind: flip(kind) for kind in ("int64", "uint64", "uint32")}
print("version: opencv", cv2.__version__, "\nexpected: refused, or the type and [2147483653, 1]\nseen:", seen)
narrow, kept = ("int32", [-(2**31) + 5, 1]), ("uint32", [2**31 + 5, 1])
assert seen == {"int64": narrow, "uint64": narrow, "uint32": kept if sys.argv[1] == "5" else "refused"}
PY
"$T/new/bin/python" "$T/flip.py" 5
"$T/old/bin/python" "$T/flip.py" 4
