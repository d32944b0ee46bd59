#!/usr/bin/env bash
# Versions: pycytominer 1.7.1.
# Expected: `feature_select(operation="correlation_threshold", corr_threshold=0.9)` leaves one of several features that
#           carry the same information.
# Seen: the sign counts. A copy (r = +1) goes, a mirror image (r = -1) stays, so a feature and its negative both enter
#       every later distance. Learned features have arbitrary signs: redundancy is removed by luck of the sign.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v pycytominer==1.7.1 numpy==2.5.5 pandas==3.1.1
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from pycytominer import feature_select

rng = np.random.default_rng(0)
one, other = rng.normal(size=(2, 200))
table = pd.DataFrame({"Metadata_Well": [f"w{i}" for i in range(200)], "Nuclei_One": one, "Nuclei_Copy": 2 * one,
                      "Nuclei_Mirror": -one, "Nuclei_Other": other})
kept = feature_select(table, features="infer", operation="correlation_threshold", corr_threshold=0.9)
kept = [name for name in kept if name.startswith("Nuclei_")]
print("versions: pycytominer", version("pycytominer"), "pandas", version("pandas"))
print("expected: two features (one of One, Copy, Mirror; Other)")
print("seen:", kept, "; r of One and Mirror", round(np.corrcoef(one, -one)[0, 1], 6))
assert kept == ["Nuclei_One", "Nuclei_Mirror", "Nuclei_Other"]
PY
