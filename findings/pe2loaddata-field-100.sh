#!/usr/bin/env bash
# Versions: pe2loaddata 0.2.0 (PyYAML 6.0.3).
# Expected: an Operetta/Phenix index becomes a LoadData table with the field numbers and well names of the index.
# Seen: of a field number only two digits are kept: fields 100 and 101 are site 10 like field 10 itself, and row 27 (AA) of a
#       1536-well plate is named "[". No warning, exit code 0. Grouped by well and site, three fields become one.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v pe2loaddata==0.2.0 pyyaml==6.0.3
cd "$T"; mkdir images; v/bin/python - <<'PY'
wells, images = {"1-1": (1, 1), "27-3": (27, 3)}, []
for well, (row, column) in wells.items():
    for field in (9, 10, 100, 101):
        name = f"r{row:02}c{column:02}f{field:02}p01-ch1sk1fk1fl1.tiff"
        open(f"images/{name}", "w").close()
        fields = {"id": f"{well}-{field}", "URL": name, "Row": row, "Col": column, "FieldID": field, "PlaneID": 1,
                  "TimepointID": 1, "ChannelID": 1, "ChannelName": "DAPI"}
        images.append((well, "".join(f"<{key}>{value}</{key}>" for key, value in fields.items()), fields["id"]))
text = "<EvaluationInputData><Plates><Plate><Name>P</Name>" + "".join(f'<Well id="{w}"/>' for w in wells) + "</Plate></Plates><Wells>"
for well, (row, column) in wells.items():
    mine = "".join(f'<Image id="{i}"/>' for w, _, i in images if w == well)
    text += f"<Well><id>{well}</id><Row>{row}</Row><Col>{column}</Col>{mine}</Well>"
text += "</Wells><Maps/><Images>" + "".join(f"<Image>{body}</Image>" for _, body, _ in images) + "</Images></EvaluationInputData>"
open("images/Index.idx.xml", "w").write(text)
open("config.yml", "w").write("channels:\n  DAPI: OrigDNA\n")
PY
v/bin/pe2loaddata config.yml load.csv --index-directory images
v/bin/python - <<'PY'
import csv
from importlib.metadata import version

rows = [(r["FileName_OrigDNA"][:10], r["Metadata_Well"], r["Metadata_Site"]) for r in csv.DictReader(open("load.csv"))]
print("versions: pe2loaddata", version("pe2loaddata"))
print("expected: wells A01 and AA03, sites 9, 10, 100, 101\nseen:", *rows, sep="\n  ")
assert len(rows) == 8 and {well for _, well, _ in rows} == {"A01", "[03"}
for well in ("A01", "[03"):
    assert sorted(site for _, w, site in rows if w == well) == ["10", "10", "10", "9"]
PY
