"""From a real CellProfiler run to answers: both its exports through the engine's table commands, unchanged."""

import csv
import json
import re
import subprocess

import numpy as np
import pytest
from cellprofiler_examples import build
from cellprofiler_host import run_engine_script
from cellprofiler_runs import completed, headless, insert, match_by_metadata, read_csv, save

KEPT = {"DMSO": ("0.0", 3), "SYN-11": ("1.0", 1), "SYN-12": ("1.0", 1), "SYN-31": ("1.0", 1), "SYN-32": ("1.0", 1)}
CONTROLS = "Metadata_Role == 'negative'"
KEYS = ("Metadata_Plate", "Metadata_Well")


@pytest.fixture(scope="module")
def exports(engine_python, tmp_path_factory):
    """Output folder of a run on 14 wells of a drawn screen: nuclei, cells and cytoplasm; deep and classical columns."""
    folder = tmp_path_factory.mktemp("exports")
    script = (
        "import sys; from microsnoop_engine.images.synthetic import write_screen; "
        "write_screen(sys.argv[1], plates=2, shape=(180, 180), n_cells=5)"
    )
    run_engine_script(engine_python, script, folder / "input")
    keep_wells(folder / "input" / "LoadData.csv")
    pipeline = build(["DNA", "ER"], (12, 60))
    insert(pipeline, 3, "IdentifySecondaryObjects", x_name="Nuclei", y_name="Cells", image_name="ER")
    names = {"primary_objects_name": "Nuclei", "secondary_objects_name": "Cells", "subregion_objects_name": "Cytoplasm"}
    insert(pipeline, 4, "IdentifyTertiaryObjects", **names)
    insert(pipeline, 5, "MeasureObjectSizeShape", objects_list="Nuclei, Cells, Cytoplasm", calculate_zernikes="No")
    pipeline.modules()[5].objects_list.value = "Nuclei, Cytoplasm"
    return completed(headless(folder / "run", save(pipeline, folder / "pipeline.cppipe"), folder / "input"))


def keep_wells(table):
    """Leave three controls and four treatments of each plate in a LoadData.csv."""
    names, rows = read_csv(table)
    kept = []
    for row in rows:
        dose, count = KEPT.get(row["Metadata_Compound"], ("", 0))
        same = [r for r in kept if all(r[name] == row[name] for name in ("Metadata_Plate", "Metadata_Compound"))]
        if row["Metadata_Dose"] == dose and len(same) < count:
            kept.append(row)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(kept)


@pytest.fixture(scope="module")
def microsnoop(engine_python):
    """Run a command of the engine; returns what it printed on its two outputs."""

    def run(*words):
        done = subprocess.run(
            [engine_python, "-m", "microsnoop_engine", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture(scope="module", params=["csv", "sqlite"])
def export(request, exports):
    """Path of an export, as CellProfiler left it."""
    return exports / "profiles.db" if request.param == "sqlite" else exports


def numbers(rows, names):
    """Columns of a table that was read, as an array."""
    return np.array([[float(row[name] or "nan") for name in names] for row in rows])


def features_of(names):
    """The columns of objects and images."""
    return [name for name in names if name.startswith(("Nuclei_", "Cells_", "Cytoplasm_", "Image_"))]


def wells_by_hand(out, objects):
    """{(plate, well): means} of the numbers of one object table, straight from CellProfiler's CSV."""
    names, rows = read_csv(out / f"{objects}.csv")
    names = [name for name in names if name.startswith(("AreaShape_", "Intensity_", "Microsnoop_"))]
    names = [name for name in names if not name.startswith(("AreaShape_Center", "AreaShape_BoundingBox"))]
    of_well = {}
    for row in rows:
        of_well.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    with np.errstate(all="ignore"):
        return names, {well: np.nanmean(numbers(of_well[well], names), axis=0) for well in of_well}


def test_wells_are_the_means_of_the_exported_objects(exports, export, microsnoop, tmp_path):
    said, _ = microsnoop("aggregate", export, "--out", tmp_path / "wells.csv")
    names, rows = read_csv(tmp_path / "wells.csv")
    assert len(rows) == 14
    assert {row["Metadata_Role"] for row in rows} == {"negative", "treated"}
    assert f"14 rows of {sum(int(row['Metadata_Object_Count']) for row in rows)} objects" in said
    computed = json.loads((tmp_path / "wells.csv.json").read_text())
    assert re.match(r"microsnoop-fast [0-9a-f]{64}$", computed["weights"])
    assert re.match(r"CellProfiler 4\.\d", computed["handcrafted"])
    # of the nuclei, in two channels; the columns of the whole image are no features of its objects
    learned = [name for name in names if "_Microsnoop_" in name]
    assert len(learned) == 2 * 256
    assert all(name.startswith("Nuclei_") for name in learned)
    for objects in ("Nuclei", "Cells", "Cytoplasm"):
        columns, expected = wells_by_hand(exports, objects)
        assert len(columns) > 10
        found = numbers(rows, [f"{objects}_{name}" for name in columns])
        for row, values in zip(rows, found):
            np.testing.assert_allclose(values, expected[tuple(row[key] for key in KEYS)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("table", ["Nuclei", "Image"])
def test_a_single_file_of_the_export_has_learned_features(exports, microsnoop, tmp_path, table):
    names, _ = read_csv(exports / f"{table}.csv")
    learned = [name for name in names if name.startswith("Microsnoop_E")]
    assert len(learned) == 2 * 256
    options = ["--features", "microsnoop", "--out", tmp_path / "wells.csv"]
    _, warned = microsnoop("aggregate", exports / f"{table}.csv", *options)
    names, rows = read_csv(tmp_path / "wells.csv")
    assert sorted(name for name in names if not name.startswith("Metadata_")) == sorted(learned)
    assert len(rows) == 14
    assert "left out" not in warned


def test_both_exports_give_the_same_answers(exports, microsnoop, tmp_path):
    found = {}
    for kind, path in (("csv", exports), ("sqlite", exports / "profiles.db")):
        wells, sphered = tmp_path / f"{kind}-wells.csv", tmp_path / f"{kind}-sphered.csv"
        microsnoop("aggregate", path, "--out", wells)
        options = ["--controls", CONTROLS, "--regularization", "ledoit-wolf", "--out", sphered]
        said, warned = microsnoop("sphere", wells, *options)
        assert "all: 6 controls" in said
        assert "WARNING: all: only 6 controls for" in warned
        task = ["--label", "Metadata_Phenotype", "--task", "knn,nsc", "--compound", "Metadata_Compound"]
        figures, _ = microsnoop("evaluate", sphered, *task, "--neighbors", 1, "--json")
        found[kind] = read_csv(wells), read_csv(sphered), said.replace(str(sphered), ""), json.loads(figures)
    for step, tolerance in ((0, 1e-5), (1, 1e-3)):
        (names, rows), (other_names, other_rows) = (found[kind][step] for kind in found)
        features = features_of(names)
        assert len(features) > 300
        assert sorted(features) == sorted(features_of(other_names))
        assert [[row[key] for key in KEYS] for row in rows] == [[row[key] for key in KEYS] for row in other_rows]
        np.testing.assert_allclose(
            numbers(rows, features), numbers(other_rows, features), rtol=tolerance, atol=tolerance, equal_nan=True
        )
    assert found["csv"][2] == found["sqlite"][2]
    assert found["csv"][3] == found["sqlite"][3]
    assert {figure["task"] for figure in found["csv"][3]} == {"knn, accuracy", "knn, balanced accuracy", "nsc"}
    assert {figure["rows"] for figure in found["csv"][3]} == {14, 8}


def test_sphering_names_the_columns_it_leaves_out(export, microsnoop, tmp_path):
    microsnoop("aggregate", export, "--features", "classical", "--out", tmp_path / "wells.csv")
    said, _ = microsnoop("sphere", tmp_path / "wells.csv", "--controls", CONTROLS, "--out", tmp_path / "sphered.csv")
    before, after = (features_of(read_csv(tmp_path / f"{name}.csv")[0]) for name in ("wells", "sphered"))
    gone = set(before) - set(after)
    assert "(near-duplicate of another)" in said
    lines = [line.split(": ")[1] for line in said.splitlines() if " columns left out (" in line]
    named = {name for line in lines for name in line.split(", ") if name != "..."}
    assert len(named) >= 5
    assert named <= gone
    assert sum(int(line.split()[0]) for line in said.splitlines() if " columns left out (" in line) == len(gone)
    assert f"{len(after)} features" in said


def test_deep_and_classical_tables_combine_to_the_whole_one(export, microsnoop, tmp_path):
    for features in ("microsnoop", "classical", "all"):
        microsnoop("aggregate", export, "--features", features, "--out", tmp_path / f"{features}.csv")
    microsnoop("combine", tmp_path / "microsnoop.csv", tmp_path / "classical.csv", "--out", tmp_path / "both.csv")
    (names, rows), (every_name, every_row) = (read_csv(tmp_path / f"{name}.csv") for name in ("both", "all"))
    features = features_of(every_name)
    assert sorted(names) == sorted(every_name)
    np.testing.assert_allclose(numbers(rows, features), numbers(every_row, features), rtol=1e-9)
    options = ["--controls", CONTROLS, "--weights", "microsnoop=1,classical=1", "--out", tmp_path / "sphered.csv"]
    said, _ = microsnoop("sphere", tmp_path / "both.csv", *options)
    assert "14 rows" in said
    names, rows = read_csv(tmp_path / "sphered.csv")
    assert any("_Microsnoop_" in name for name in names)
    assert any("_AreaShape_" in name for name in names)


def test_objects_need_no_aggregation(exports, microsnoop, tmp_path):
    count, figures = len(read_csv(exports / "Nuclei.csv")[1]), []
    task = ["--label", "Metadata_Phenotype", "--groups", "Metadata_Plate", "--task", "knn,silhouette", "--json"]
    for path in (exports, exports / "profiles.db"):
        of_nuclei = ["--objects", "Nuclei", "--features", "Nuclei_Microsnoop_.*"]
        said, _ = microsnoop("sphere", path, *of_nuclei, "--controls", CONTROLS, "--out", tmp_path / "sphered.parquet")
        assert f"{count} rows, 512 features" in said
        figures.append(json.loads(microsnoop("evaluate", path, *of_nuclei, *task)[0]))
        assert {figure["rows"] for figure in figures[-1]} == {count}
    for csv_figure, sqlite_figure in zip(*figures):
        assert csv_figure["task"] == sqlite_figure["task"]
        assert csv_figure["value"] == pytest.approx(sqlite_figure["value"], abs=1e-4)
    options = ["--objects", "Nuclei", "--out", tmp_path / "both.parquet"]
    said, _ = microsnoop("combine", exports, exports / "profiles.db", *options)
    assert f"\n{count} rows, " in said


def test_images_of_the_input_modules_that_are_matched_by_metadata(engine_python, microsnoop, tmp_path):
    """The columns by which NamesAndTypes matches images are in the tables of objects twice."""
    script = (
        "import sys; from microsnoop_engine.images.synthetic import write_screen; "
        "write_screen(sys.argv[1], plates=1, shape=(180, 180), n_cells=5)"
    )
    run_engine_script(engine_python, script, tmp_path / "screen")
    files = sorted((tmp_path / "screen").glob("images/*/A0[12]_s1_*.tif"))
    assert len(files) == 6
    (tmp_path / "files.txt").write_text("\n".join(map(str, files)))
    pipeline = build(["DNA", "ER"], (12, 60))
    for name in ("ExportToDatabase", "LoadData"):
        pipeline.remove_module(next(module.module_num for module in pipeline.modules() if module.module_name == name))
    match_by_metadata(pipeline, ["DNA", "ER"], r"^(?P<Well>[A-P][0-9]{2})_s(?P<Site>[0-9])_(?P<Channel>.*)\.tif$")
    path = save(pipeline, tmp_path / "pipeline.cppipe")
    arguments = ["--file-list", tmp_path / "files.txt"]
    out = completed(headless(tmp_path / "run", path, tmp_path / "screen", arguments=arguments))
    with (out / "Nuclei.csv").open(newline="") as file:
        assert next(csv.reader(file)).count("Metadata_Well") == 2
    said, _ = microsnoop("aggregate", out, "--features", "Nuclei_Microsnoop_.*", "--out", tmp_path / "wells.csv")
    names, rows = read_csv(tmp_path / "wells.csv")
    assert [row["Metadata_Well"] for row in rows] == ["A01", "A02"]
    assert names.count("Metadata_Well") == 1
    objects = sum(int(row["Metadata_Object_Count"]) for row in rows)
    assert f"2 rows of {objects} objects, 512 features" in said
