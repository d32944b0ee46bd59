"""Bad tables and arguments by the real command: the message, and that an older result stays as it was."""

import gzip
import re
import sqlite3
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.tables.formats import write_table

RANDOM = np.random.default_rng(0)
DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(4)]
AREA = "Nuclei_AreaShape_Area"
CELLS = pd.DataFrame(
    {
        "Metadata_Plate": np.repeat(["P1", "P2"], 24),
        "Metadata_Well": np.resize(np.repeat(["A01", "A02", "A03"], 8), 48),
        "Metadata_Role": np.resize(["negative", "treated"], 48),
        "ImageNumber": np.repeat(np.arange(1, 13), 4),
        "ObjectNumber": np.resize([1, 2, 3, 4], 48),
        **{name: RANDOM.normal(size=48) for name in DEEP},
        AREA: RANDOM.gamma(5, 9, 48),
    }
)
IMAGES = pd.DataFrame({"ImageNumber": [1, 2], "Metadata_Plate": "P1", "Metadata_Well": ["A01", "A02"]})
NUCLEI = pd.DataFrame({"ImageNumber": [1, 1, 2], "ObjectNumber": [1, 2, 1], "AreaShape_Area": [10.5, 11, 12]})
CONTROLS = ["--controls", "Metadata_Role == 'negative'"]
ROLE = ["--label", "Metadata_Role", "--neighbors", "1"]


def file(name, content):
    """A file of these bytes, or of this text."""

    def make(folder):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    return make


def cells(name="cells.parquet", **columns):
    """The table of cells with other columns; None leaves a column out."""

    def make(folder):
        table = CELLS.assign(**columns).drop(columns=[column for column, values in columns.items() if values is None])
        return write_table(table, folder / name, [column for column in DEEP if column in table])

    return make


def changed(column, rows, value):
    """A column of the cells with another value in some rows."""
    return CELLS[column].astype(object).where(~np.isin(np.arange(48), rows), value).infer_objects()


def damaged(make, change):
    """The file of another builder, its bytes changed."""

    def remake(folder):
        path = make(folder)
        path.write_bytes(change(path.read_bytes()))
        return path

    return remake


def export(**tables):
    """A folder of ExportToSpreadsheet."""

    def make(folder):
        (folder / "export").mkdir()
        for name, table in tables.items():
            table.to_csv(folder / "export" / f"{name}.csv", index=False)
        return folder / "export"

    return make


def database(**tables):
    """An SQLite file with these tables."""

    def make(folder):
        with sqlite3.connect(folder / "profiles.sqlite") as connection:
            for name, table in tables.items():
                table.to_sql(name, connection, index=False)
        return folder / "profiles.sqlite"

    return make


def data_set(*tables):
    """A folder of Parquet files."""

    def make(folder):
        (folder / "cells.parquet").mkdir()
        for number, table in enumerate(tables):
            table.to_parquet(folder / "cells.parquet" / f"{number}.parquet")
        return folder / "cells.parquet"

    return make


def other_hdf5(folder):
    with h5py.File(folder / "cells.h5ad", "w") as hdf5:
        hdf5["numbers"] = [1, 2]
    return folder / "cells.h5ad"


def names_twice(folder):
    data = anndata.AnnData(X=np.ones((2, 2), np.float32), var=pd.DataFrame(index=["Nuclei_A", "Nuclei_A"]))
    data.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def beside(make, **tables):
    """The table of another builder, with CSV files beside it."""

    def remake(folder):
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        return make(folder)

    return remake


WELLS = CELLS[["Metadata_Plate", "Metadata_Well"]].drop_duplicates()
MAP = ["--platemap", "{folder}/map.csv"]
CSV = CELLS.to_csv(index=False)

# kind: command, builder of the table, further words, what the message has to hold
BAD = {
    "no file": ("aggregate", lambda folder: folder / "cells.csv", [], "no file or folder '{table}'"),
    "unknown kind of file": ("aggregate", file("cells.xlsx", b"PK"), [], "'{table}' is no table .* choose a .parquet"),
    "empty file": ("aggregate", file("cells.csv", b""), [], "'{table}' .*Empty CSV file; write it again"),
    "header only": ("aggregate", file("cells.csv", f"Metadata_Well,{AREA}\n"), [], "'{table}' has no rows"),
    "no rows in Parquet": ("sphere", data_set(CELLS[:0]), CONTROLS, "'{table}' has no rows"),
    "no feature": (
        "aggregate",
        cells(**dict.fromkeys([*DEEP, AREA])),
        [],
        r"'{table}' has no features \(all\) among its columns Metadata_Plate, .*\Wfeatures",
    ),
    "no metadata": ("aggregate", file("cells.csv", "x,y\n1,2\n"), [], "'{table}' has no column Metadata_Well: add it"),
    "no image number": (
        "aggregate",
        cells(ImageNumber=None),
        ["--level", "image"],
        "'{table}' has no column ImageNumber",
    ),
    "column twice": ("aggregate", file("cells.csv", "a,x,x\nA,1,2\n"), [], "'{table}' has the column x more than once"),
    "word in a learned feature": (
        "aggregate",
        cells("cells.csv", **{DEEP[1]: changed(DEEP[1], [6], "oops")}),
        [],
        f"'{{table}}', column {DEEP[1]}: 'oops' in data row 7 is no number: correct it",
    ),
    "word in a classical feature": (
        "sphere",
        cells("cells.csv", **{AREA: changed(AREA, [0, 1], "big")}),
        CONTROLS,
        f"'{{table}}', column {AREA}: 'big' in data row 1 is no number: .*leave the column out with .*features",
    ),
    "word in a database": (
        "aggregate",
        cells("cells.sqlite", **{AREA: changed(AREA, [40], "big")}),
        [],
        f"'{{table}}', column {AREA}: 'big' in data row 41 is no number",
    ),
    "row too short": ("aggregate", file("cells.csv", "a,x\nA,1\nA\n"), [], "'{table}' .*Row #3: Expected 2.* got 1: A"),
    "row too long": ("aggregate", file("cells.csv", "a,x\nA,1,2\n"), [], "'{table}' .*Row #2: Expected 2.* got 3"),
    "bars": ("aggregate", file("cells.csv", "a|x\nA|1\n"), [], "'{table}': .*separated by '.': save it with com"),
    "Latin-1": ("aggregate", file("cells.csv", "Metadata_Well,x\nA\xe9,1\n".encode("latin-1")), [], "'{table}'.*UTF-8"),
    "Latin-1 header": ("aggregate", file("cells.csv", "well,\xb5m\nA,1\n".encode("latin-1")), [], "'{table}'.*UTF-8"),
    "UTF-16": ("aggregate", file("cells.csv", "a,x\nA,1\n".encode("utf-16")), [], "'{table}'.*save it as CSV in UTF-8"),
    "gzip cut short": (
        "aggregate",
        file("cells.csv.gz", gzip.compress(CSV.encode())[:-60]),
        [],
        "'{table}' .*Truncated compressed stream; write it again",
    ),
    "gzip cut short after the first block": (
        "aggregate",
        file("cells.csv.gz", gzip.compress((CSV + CSV.partition("\n")[2] * 4000).encode(), 1)[:-100]),
        [],
        "'{table}' is damaged: Truncated compressed stream; write it again",
    ),
    "not gzip": ("aggregate", file("cells.csv.gz", CSV), [], "'{table}' .*incorrect header check"),
    "Parquet cut short": (
        "aggregate",
        damaged(cells(), lambda data: data[:-99]),
        [],
        "'{table}' cannot be read as Parq",
    ),
    "Parquet damaged inside": (
        "aggregate",
        damaged(cells(), lambda data: data[:20] + bytes(400) + data[420:]),
        [],
        "'{table}' is damaged: .*write it again",
    ),
    "Parquet files of two kinds": (
        "aggregate",
        data_set(CELLS, CELLS.drop(columns=DEEP[2])),
        [],
        f"'{{table}}/1.parquet' has no column {DEEP[2]}, which '{{table}}/0.parquet' has",
    ),
    "no CellProfiler export in a folder": (
        "aggregate",
        export(Nuclei=NUCLEI),
        [],
        r"'{table}' holds neither .* \(a file ending in Image.csv\)",
    ),
    "objects without an image": (
        "aggregate",
        export(Image=IMAGES[:1], Nuclei=NUCLEI),
        [],
        "'{table}', Nuclei: image 2 is not among the rows of Image: add it",
    ),
    "image twice": (
        "aggregate",
        export(Image=IMAGES.iloc[[0, 0, 1]], Nuclei=NUCLEI),
        [],
        "'{table}', Image: image 1 .*more than once: remove the copies",
    ),
    "object twice": (
        "aggregate",
        export(Image=IMAGES, Nuclei=NUCLEI.assign(ObjectNumber=1)),
        [],
        "'{table}', Nuclei: object 1 of image 1 comes more than once: remove the copies",
    ),
    "parent twice": (
        "aggregate",
        export(Image=IMAGES, Cells=NUCLEI.assign(Parent_Nuclei=1), Nuclei=NUCLEI.assign(ObjectNumber=1)),
        [],
        "'{table}', Nuclei: object 1 of image 1 comes more than once: remove the copies",
    ),
    "images without a number": (
        "aggregate",
        export(Image=IMAGES.drop(columns="ImageNumber"), Nuclei=NUCLEI),
        [],
        "'{table}', Image has no column ImageNumber; it has Metadata_Plate",
    ),
    "object without an image number": (
        "aggregate",
        export(Image=IMAGES, Nuclei=NUCLEI.assign(ImageNumber=[1, None, 2])),
        [],
        "'{table}', Nuclei: a row after image 1 has no ImageNumber: fill it in, or remove the row",
    ),
    "objects without any image number": (
        "aggregate",
        export(Image=IMAGES, Nuclei=NUCLEI.assign(ImageNumber=np.nan)),
        [],
        "'{table}', Nuclei: the first row has no ImageNumber: fill it in, or remove the row",
    ),
    "no objects at all": ("aggregate", export(Image=IMAGES, Nuclei=NUCLEI[:0]), [], "'{table}' has no rows"),
    "unknown objects": (
        "aggregate",
        export(Image=IMAGES, Nuclei=NUCLEI),
        ["--objects", "Foci"],
        "'{table}' has no objects 'Foci'; it has Nuclei",
    ),
    "database without Per_Image": (
        "aggregate",
        database(Nuclei=NUCLEI, Wells=IMAGES),
        [],
        "'{table}' .*Per_Image.* but Nuclei, Wells: choose a file of ExportToDatabase",
    ),
    "database without image numbers": (
        "aggregate",
        database(Per_Image=IMAGES.drop(columns="ImageNumber"), Per_Nuclei=NUCLEI),
        [],
        "'{table}', Image has no column ImageNumber; it has Metadata_Plate",
    ),
    "no database": (
        "aggregate",
        file("profiles.db", CSV),
        [],
        "'{table}' cannot be read as SQLite: file is not a data",
    ),
    "database cut short": (
        "aggregate",
        damaged(cells("cells.sqlite"), lambda data: data[: len(data) // 2]),
        [],
        "'{table}'.*malformed; export it again",
    ),
    "no AnnData": (
        "aggregate",
        file("cells.h5ad", b"HDF"),
        [],
        "'{table}' cannot be read as AnnData: .*write it again",
    ),
    "AnnData cut short": (
        "aggregate",
        damaged(cells("cells.h5ad"), lambda data: data[:3000]),
        [],
        "'{table}'.*truncat",
    ),
    "another HDF5 file": ("aggregate", other_hdf5, [], "'{table}' cannot be read as AnnData: .*write it again"),
    "names twice in AnnData": ("aggregate", names_twice, [], "'{table}': var has a name more than once"),
    "features matching nothing": (
        "aggregate",
        cells(),
        ["--features", "Foci_.*"],
        r"'{table}' has no features \('Foci",
    ),
    "features no expression": ("sphere", cells(), [*CONTROLS, "--features", "("], r"'\(' is no regular expression: "),
    "keys as features": (
        "aggregate",
        cells(),
        ["--features", ".*"],
        "'{table}': column ImageNumber defines the groups and .*narrow .*features",
    ),
    "unknown level": ("aggregate", cells(), ["--level", "plate"], "--level: invalid choice: 'plate' .*'treatment'"),
    "treatment missing": (
        "aggregate",
        cells(),
        ["--level", "treatment"],
        r"'{table}': \W+level\W+treatment needs \W+treatment",
    ),
    "treatment without column": (
        "aggregate",
        cells(),
        ["--level", "treatment", "--treatment", "Metadata_Drug"],
        "'{table}' has no column Metadata_Drug; it has Metadata_Plate",
    ),
    "too few objects": (
        "aggregate",
        cells(),
        ["--min-objects", "99"],
        r"'{table}': no group .* 99 objects or more: lower \W+min.objects",
    ),
    "no platemap": ("aggregate", cells(), MAP, "no file or folder '{folder}/map.csv'"),
    "platemap of other wells": (
        "aggregate",
        beside(cells(), map=WELLS.assign(Metadata_Well="H" + WELLS["Metadata_Well"])),
        MAP,
        r"no well of the table is in '{folder}/map.csv' \(such as \['P1', 'A01'\]\)",
    ),
    "platemap with wells twice": (
        "aggregate",
        beside(cells(), map=WELLS.iloc[[0, 1, 2, 3, 4, 5, 4]]),
        MAP,
        r"'{folder}/map.csv' has \['P2', 'A02'\] more than once",
    ),
    "platemap without a key": (
        "aggregate",
        beside(cells(), map=WELLS.drop(columns="Metadata_Plate")),
        MAP,
        r"on\W*: '{folder}/map.csv' has no column Metadata_Plate; it has Metadata_Well",
    ),
    "unknown key of the platemap": (
        "aggregate",
        beside(cells(), map=WELLS),
        [*MAP, "--on", "Metadata_Barcode"],
        r"'{table}': \W+on\W*: the table has no column Metadata_Barcode; it has",
    ),
    "controls without features": (
        "sphere",
        cells(**{name: changed(name, np.arange(0, 48, 2), np.nan) for name in [*DEEP, AREA]}),
        CONTROLS,
        "'{table}': by .*'negative'.*, 0 of 24 control rows have features",
    ),
    "no control": (
        "sphere",
        cells(),
        ["--controls", "Metadata_Role == 'water'"],
        "'{table}': no row is a control by .*'water'.*: check names",
    ),
    "one control": (
        "sphere",
        cells(),
        ["--controls", "ImageNumber == 2 and ObjectNumber == 1"],
        "'{table}': by .*, 1 of 1 control row has features: a fit needs two",
    ),
    "infinite features": (
        "sphere",
        cells(**dict.fromkeys([*DEEP, AREA], np.inf)),
        CONTROLS,
        "0 of 24 control rows",
    ),
    "query of an unknown column": (
        "sphere",
        cells(),
        ["--controls", "Role == 'negative'"],
        "'{table}': the query .*no column 'Role' .*write it like",
    ),
    "query of words and numbers": (
        "sphere",
        cells(),
        ["--controls", "Metadata_Role == 1"],
        "'{table}': .* Metadata_Role holds words, not such as 1",
    ),
    "query that is code": (
        "sphere",
        cells(),
        ["--controls", "__import__('os').remove('{folder}/older.csv')"],
        "'{table}': the query .*remove.* is no comparison; write it like",
    ),
    "endless query": ("sphere", cells(), ["--controls", "not " * 9999 + "a == 1"], "cannot be read: write it like"),
    "group without controls": (
        "sphere",
        cells(),
        ["--controls", "Metadata_Plate == 'P1'", "--by", "Metadata_Plate"],
        r"'{table}': group 'P2' has 0 control rows, two are needed: sphere without \W+by",
    ),
    "rows without a group": (
        "sphere",
        cells(Metadata_Plate=changed("Metadata_Plate", [3, 9], None)),
        [*CONTROLS, "--by", "Metadata_Plate"],
        r"'{table}': 2 rows have no 'Metadata_Plate' \(the first is row 4\)",
    ),
    "unknown group": (
        "sphere",
        cells(),
        [*CONTROLS, "--by", "Metadata_Week"],
        "'{table}': .*the table has no column Metadata_Week",
    ),
    "unknown rule": ("sphere", cells(), [*CONTROLS, "--regularization", "elbow"], "'{table}': .*'elbow': choose knee"),
    "weights of nothing": ("sphere", cells(), [*CONTROLS, "--weights", "1,2"], "--weights: write microsnoop=1,classi"),
    "transform to a pickle": (
        "sphere",
        cells(),
        [*CONTROLS, "--save", "{folder}/a.pkl"],
        "a.pkl': choose .*tensors",
    ),
    "no label column": (
        "evaluate",
        cells(),
        ["--label", "Metadata_MoA"],
        r"'{table}': \W+label\W*: the table has no column Metadata_MoA",
    ),
    "label constant": (
        "evaluate",
        cells(Metadata_Role="x"),
        [*ROLE, "--task", "linear"],
        r"'{table}': \W+label\W*: all .*'x'",
    ),
    "label missing": (
        "evaluate",
        cells(Metadata_Role=None, Metadata_Note="x"),
        ROLE,
        "no column Metadata_Role; it",
    ),
    "label on one row": ("evaluate", cells(Metadata_Role=changed("Metadata_Role", [5], "rare")), ROLE, "2 rows: rare"),
    "one group": (
        "evaluate",
        cells(Metadata_Plate="P1"),
        [*ROLE, "--task", "map", "--groups", "Metadata_Plate"],
        r"'{table}': \W+groups\W*: all rows have the same 'Metadata_Plate', 'P1'",
    ),
    "label in one group": (
        "evaluate",
        cells(Metadata_Plate=CELLS["Metadata_Role"]),
        [*ROLE, "--task", "map", "--groups", "Metadata_Plate"],
        "'{table}': the task 'map': every 'Metadata_Role' lies in one 'Metadata_Plate'",
    ),
    "unknown task": (
        "evaluate",
        cells(),
        [*ROLE, "--task", "moa"],
        r"'{table}': \W+tasks?\W* has 'moa': choose some of",
    ),
    "no task": ("evaluate", cells(), [*ROLE, "--task", ","], r"'{table}': \W+tasks?\W* has '': choose some of knn"),
    "compound missing": (
        "evaluate",
        cells(),
        [*ROLE, "--task", "nsc"],
        r"'{table}': .*task 'nsc' needs \W+compound",
    ),
    "too many neighbors": ("evaluate", cells(), [*ROLE[:3], "99"], "'{table}': k is 99, but row 0 has 47 candidates"),
    "tables without a common key": (
        "combine",
        beside(cells(), other=CELLS[[AREA]]),
        ["{folder}/other.csv"],
        r"'{table}' and '{folder}/other.csv': the tables share no keys .*key columns with \W+on",
    ),
    "key twice": (
        "combine",
        beside(cells(), other=CELLS.iloc[[0, 1, 2, 1]]),
        ["{folder}/other.csv"],
        "'{folder}/other.csv': the second table has several rows for ImageNumber, ObjectNumber = 1, 2",
    ),
    "keys that never meet": (
        "combine",
        beside(cells(), other=CELLS.assign(ImageNumber=CELLS["ImageNumber"] + 99)),
        ["{folder}/other.csv"],
        "'{table}' and .*no ImageNumber, ObjectNumber is in both tables",
    ),
    "keys of two kinds": (
        "combine",
        beside(cells(), other=CELLS.assign(ImageNumber="i" + CELLS["ImageNumber"].astype(str))),
        ["{folder}/other.csv"],
        "'{table}' and .*ImageNumber holds numbers in one table and words in the other",
    ),
}


def placed(words, folder, table):
    return [str(word).replace("{folder}", str(folder)).replace("{table}", str(table)) for word in words]


def attempt(words, capsys):
    """Exit code and message of a command that must fail by itself, without a traceback."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    output = capsys.readouterr()
    assert output.out == ""
    return code, output.err


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_are_refused_and_the_older_result_stays(tmp_path, capsys, kind):
    command, make, words, pattern = BAD[kind]
    table, older = make(tmp_path), tmp_path / "older.csv"
    older.write_text("the older result\n")
    files = sorted(tmp_path.rglob("*"))
    out = [] if command == "evaluate" else ["--out", older]
    code, message = attempt(placed([command, table, *words, *out], tmp_path, table), capsys)
    assert code == (2 if "error: argument" in message else 1)
    assert re.search(placed([pattern], tmp_path, table)[0], message), message
    assert len(message.splitlines()[-1]) < 1000
    assert older.read_bytes() == b"the older result\n"
    assert sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize("command", ["aggregate", "sphere", "combine"])
@pytest.mark.parametrize(
    ("out", "pattern"),
    [
        ("wells.xlsx", r"wells\.xlsx': choose a name that ends in \.parquet, \.csv"),
        ("cells.parquet/wells.csv", r"wells\.csv' cannot be written \(File exists\): choose another folder"),
        ("folder.csv", r"folder\.csv' is a folder: choose another name"),
        pytest.param(
            "/proc/wells.csv",
            r"'/proc/wells\.csv' cannot be written \(.+\): choose another folder",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="where nobody may write"),
        ),
    ],
)
def test_results_that_cannot_be_written_are_refused_before_the_work(tmp_path, capsys, command, out, pattern):
    table = cells()(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    words = {"aggregate": [], "sphere": CONTROLS, "combine": [table]}[command]
    table.write_bytes(b"PAR1")  # would be refused, had it been read
    code, message = attempt([str(word) for word in (command, table, *words, "--out", tmp_path / out)], capsys)
    assert code == 1
    assert re.search(pattern, message), message
    assert table.read_bytes() == b"PAR1"


def test_wells_that_the_platemap_lacks_are_counted(tmp_path, caplog, capsys):
    table = beside(cells(), map=WELLS[:4].assign(Metadata_Drug="x"))(tmp_path)
    out = tmp_path / "wells.csv"
    assert main(["aggregate", str(table), "--platemap", str(tmp_path / "map.csv"), "--out", str(out)]) == 0
    assert "2 of 6 wells are not in" in caplog.text
    assert "['P2', 'A02']" in caplog.text
    assert pd.read_csv(out)["Metadata_Drug"].notna().sum() == 4


def test_row_numbers_that_pandas_writes_are_no_features(tmp_path, capsys):
    for name, write in {"csv": CELLS.to_csv, "parquet": CELLS[::2].set_index("Metadata_Well").to_parquet}.items():
        write(tmp_path / f"cells.{name}")
        out = tmp_path / "wells.csv"
        assert main(["aggregate", str(tmp_path / f"cells.{name}"), "--out", str(out)]) == 0
        assert "6 rows of" in capsys.readouterr().out
        assert [column for column in pd.read_csv(out) if not column.startswith("Metadata_")] == [*DEEP, AREA]
