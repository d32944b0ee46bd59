#!/usr/bin/env bash
# Versions: copairs 0.5.5.
# Expected: profiles that say nothing (every well the same) give a mean average precision of chance and a large p-value.
# Seen: mAP 1.0 for every compound, p = 0.000999, the smallest that 1000 shuffles allow. In a tie the replicates are
#       ranked before the others. So a dead channel, profiles of zeros or
#       features rounded to few values look like a perfect assay; noise alone stays at chance.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v copairs==0.5.5 numpy==2.5.5 pandas==3.1.1
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from copairs import map as copairs_map

wells = pd.DataFrame({"Metadata_Compound": np.repeat(list("ABCD"), 6)})
compound = ["Metadata_Compound"]
def score(features):
    precision = copairs_map.average_precision(
        wells, features, pos_sameby=compound, pos_diffby=[], neg_sameby=[], neg_diffby=compound)
    table = copairs_map.mean_average_precision(precision, sameby=compound, null_size=1000, threshold=0.05, seed=0)
    return table.mean_average_precision.to_numpy(), table.p_value.to_numpy()

same, p_same = score(np.ones((24, 8)))
noise, p_noise = score(np.random.default_rng(0).normal(size=(24, 8)))
print("\nversions: copairs", version("copairs"))
print("expected: no compound stands out, neither of identical profiles nor of noise")
print("seen: identical profiles: mAP", same.round(3), "p", p_same.round(6))
print("seen: noise: mAP", noise.round(3), "p", p_noise.round(3))
assert (same == 1).all() and np.allclose(p_same, 1 / 1001)
assert (noise < 0.6).all()
PY
