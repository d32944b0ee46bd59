#!/usr/bin/env bash
# Versions: anndata 0.13.4 with pandas 3.1.1 writes; anndata 0.10.9 (pandas 2.2.3) and 0.12.6 read.
# Expected: a table of float features with plain text row names, the simplest .h5ad there is, opens in a release from the
#           same series of the format, or the writer leaves the new kind of column to tables that need it.
# Seen: pandas 3 makes every text column its own string type; anndata then writes even the ROW NAMES as a group of kind
#       nullable-string-array. 0.10.9 cannot open the file at all (no read method registered). 0.12.6 can. The version
#       of pandas, not of anndata, decides: the same table with names of dtype object opens in 0.10.9.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment new anndata==0.13.4 pandas==3.1.1 numpy==2.5.5
environment old anndata==0.10.9 pandas==2.2.3 "numpy<2.3" "zarr<3"
environment mid anndata==0.12.6 pandas==2.2.3 "numpy<2.4"
cd "$T"; new/bin/python -W ignore - <<'PY'
import anndata
import h5py
import numpy as np
import pandas as pd

def write(name, dtype):
    rows = pd.Index(["A01", "A02"], dtype=dtype)
    columns = pd.Index(["E000", "E001"], dtype=dtype)
    anndata.AnnData(np.ones((2, 2), "f4"), obs=pd.DataFrame(index=rows), var=pd.DataFrame(index=columns)).write_h5ad(name)
    with h5py.File(name) as file:
        return file["obs/_index"].attrs["encoding-type"]
kinds = write("plain.h5ad", None), write("object.h5ad", object)
print("expected: row names stored as string-array\nseen: stored as", kinds[0], "| names of dtype object:", kinds[1])
assert kinds == ("nullable-string-array", "string-array")
PY
cat > read.py <<'PY'
import sys
from importlib.metadata import version

import anndata

def opens(name):
    try:
        return str(anndata.read_h5ad(name).shape)
    except Exception as error:
        return type(error).__name__ + (" nullable-string-array" if "nullable-string-array" in str(error) else "")
seen = [opens("plain.h5ad"), opens("object.h5ad")]
print("seen: anndata", version("anndata"), "opens plain.h5ad:", seen[0], "| object.h5ad:", seen[1])
assert seen == [sys.argv[1], "(2, 2)"], seen
PY
old/bin/python -W ignore read.py "IORegistryError nullable-string-array"
mid/bin/python -W ignore read.py "(2, 2)"
