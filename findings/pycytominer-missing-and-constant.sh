#!/usr/bin/env bash
# Versions: pycytominer 1.7.1.
# Expected: a consensus of 10, 10, 10 and a missing value is 10; a feature without spread among the controls becomes
#           missing or stays in bounds.
# Seen: `consensus(operation="modz")` counts the missing replicate as 0 (7.5 of 10), "mean" and "median" pass over it.
#       `normalize(method="mad_robustize")` divides by 1e-18 where the controls' MAD is 0: a well one unit away
#       becomes 1e18, a finite number that passes every check for NaN and inf and rules every later PCA or distance.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v pycytominer==1.7.1 numpy==2.5.5 pandas==3.1.1
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from pycytominer import consensus, normalize

wells = pd.DataFrame({"Metadata_Treatment": ["x"] * 4, "Nuclei_A": [10, 10, 10, np.nan],
                      "Nuclei_B": [4, 4.1, 4, 4], "Nuclei_C": [1, 1.1, 1, 1.2], "Nuclei_D": [7, 7.2, 7, 7.1]})
seen = {how: float(consensus(wells, replicate_columns=["Metadata_Treatment"], operation=how).Nuclei_A.iloc[0])
        for how in ("modz", "mean", "median")}
plate = pd.DataFrame({"Metadata_Role": ["control"] * 6 + ["treated"] * 2,
                      "Nuclei_Foci": [0, 0, 0, 0, 0, 1.0, 1, 0], "Nuclei_B": np.arange(8.0)})
scaled = normalize(plate, features="infer", samples="Metadata_Role == 'control'", method="mad_robustize").Nuclei_Foci
print("versions: pycytominer", version("pycytominer"))
print("expected: 10 by all three; no number beyond a few dozen MADs")
print("seen:", seen, "| Foci after mad_robustize:", scaled.tolist())
assert seen == {"modz": 7.5, "mean": 10.0, "median": 10.0}
assert np.isfinite(scaled).all() and np.allclose(scaled.iloc[6], 1e18) and scaled.iloc[7] == 0
PY
