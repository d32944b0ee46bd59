"""Cut public exports of other programs to a few columns for tests.

python tests/helpers/cut_exports.py CYTOTABLE CYTOMINER_EVAL tests/data/exports

CYTOTABLE and CYTOMINER_EVAL are checkouts of the repositories cytomining/CytoTable and cytomining/cytominer-eval.
FOLDER is tests/data/exports.
"""

import re
import sqlite3
import sys
from pathlib import Path

import pandas as pd

KEPT = re.compile(
    r"Number|Metadata|Parent|Location_Center_|AreaShape_(Area|Center|Eccentricity|FormFactor|Solidity|MajorAxis)"
    r"|Closest|^Image_Count|Intensity_(Mean|Std|Max)Intensity_"
)
FEATURES = 40


def cut_database(source, target):
    """Keep keys, metadata, parents, centers, shapes and mean intensities."""
    target.unlink(missing_ok=True)
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        names = [name for (name,) in old.execute("select name from sqlite_master where type = 'table'")]
        for name in names:
            table = pd.read_sql(f'select * from "{name}"', old)
            if name.startswith(("Experiment", "Per_Experiment", "sqlite_")):
                continue
            table[[column for column in table if KEPT.search(column)]].to_sql(name, new, index=False)


def cut_text(source, target, metadata, rows=None):
    """Keep metadata and the first features, as written."""
    table = pd.read_csv(source, dtype=str, keep_default_na=False)[:rows]
    features = [name for name in table if not metadata(name)][:FEATURES]
    table[[name for name in table if metadata(name) or name in features]].to_csv(target, index=False)


def main(cytotable, cytominer_eval, folder):
    """Write the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    data = cytotable / "tests" / "data"
    cut_database(
        data / "cytominer-database" / "Cell-Health" / "test-SQ00014613.sqlite", folder / "cytominer_database.sqlite"
    )
    cut_database(
        data / "cellprofiler" / "NF1_SchwannCell_data" / "all_cellprofiler.sqlite", folder / "cellprofiler.sqlite"
    )
    (in_carta,) = (data / "in-carta" / "colas-lab").glob("Test 0 Day0*.csv")
    cut_text(in_carta, folder / "in_carta.csv", lambda name: not name.split(" wv")[-1].isdigit())
    wells = cytominer_eval / "cytominer_eval" / "example_data" / "compound"
    cut_text(
        wells / "SQ00015054_normalized_feature_select.csv.gz",
        folder / "pycytominer.csv.gz",
        lambda name: name.startswith("Metadata_"),
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
