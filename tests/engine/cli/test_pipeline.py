"""Test running a screen file: the whole chain, repeated and skipped steps, and mistakes in a file."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from screens import write_screen
from wells import screen_table

from microsnoop_engine.cli.main import build_parser, main
from microsnoop_engine.cli.pipeline import _state_of, plan_steps, read_sections
from microsnoop_engine.cli.steps import STEPS
from microsnoop_engine.errors import InputError

SCREEN = """
table: wells.csv
out: found
sphere: {controls: "Metadata_Role == 'negative'", regularization: 0.3, by: Metadata_Plate}
evaluate: {label: Metadata_MoA, task: [knn, nsc], compound: Metadata_Compound, neighbors: 3}
report: {treatment: [Metadata_Compound, Metadata_Dose], title: "A 'title'"}
"""


@pytest.fixture
def folder(tmp_path):
    screen_table().to_csv(tmp_path / "wells.csv", index=False)
    (tmp_path / "screen.yaml").write_text(SCREEN)
    return tmp_path


def test_a_file_gives_the_same_results_as_its_commands(folder, capsys, monkeypatch):
    assert main(["run", str(folder / "screen.yaml")]) == 0
    output = capsys.readouterr().out
    lines = [line.removeprefix("== microsnoop ") for line in output.splitlines() if line.startswith("== microsnoop")]
    assert lines[0].startswith("sphere wells.csv --out=found/sphered.parquet")
    monkeypatch.chdir(folder)
    by_hand = [part.replace("found", "by_hand") for part in shlex.split(lines[0])]
    assert main(by_hand) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("by_hand/sphered.parquet"), pd.read_parquet("found/sphered.parquet"))
    capsys.readouterr()
    assert main(shlex.split(lines[1])) == 0
    assert capsys.readouterr().out == (folder / "found" / "evaluation.txt").read_text()
    page = (folder / "found" / "report.html").read_text()
    assert "<title>A &#x27;title&#x27;</title>" in page
    for line in lines:
        assert json.dumps(line)[1:-1] in page


def test_only_outdated_steps_are_repeated(folder, capsys):
    run = ["run", str(folder / "screen.yaml")]
    assert main(run) == 0
    stamps = {path.name: path.stat().st_mtime_ns for path in (folder / "found").iterdir()}
    assert main(run) == 0
    assert capsys.readouterr().out.count("done before") == 3
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "found").iterdir()} == stamps

    (folder / "screen.yaml").write_text(SCREEN.replace("neighbors: 3", "neighbors: 1"))
    assert main(run) == 0
    output = capsys.readouterr().out
    assert "== sphere: done before" in output
    assert "== microsnoop evaluate" in output

    (folder / "found" / "report.html").unlink()
    assert main(run) == 0
    assert (folder / "found" / "report.html").is_file()

    screen_table(seed=1).to_csv(folder / "wells.csv", index=False)
    capsys.readouterr()
    assert main(run) == 0
    assert "done before" not in capsys.readouterr().out


def test_a_changed_baseline_outdates_the_scores(folder, capsys):
    run = ["run", str(folder / "screen.yaml")]
    screen_table(seed=2).to_csv(folder / "untrained.csv", index=False)
    (folder / "screen.yaml").write_text(SCREEN.replace("neighbors: 3", "neighbors: 3, baseline: {raw: untrained.csv}"))
    assert main(run) == 0
    scores = (folder / "found" / "evaluation.txt").read_text()
    assert main(run) == 0
    assert "== evaluate: done before" in capsys.readouterr().out
    screen_table(seed=3).to_csv(folder / "untrained.csv", index=False)
    assert main(run) == 0
    output = capsys.readouterr().out
    assert "== sphere: done before" in output
    assert "== evaluate: done before" not in output
    assert (folder / "found" / "evaluation.txt").read_text() != scores


def test_a_stopped_run_continues(folder, capsys):
    run = ["run", str(folder / "screen.yaml")]
    wrong = SCREEN.replace("label: Metadata_MoA", "label: Metadata_Moa")
    (folder / "screen.yaml").write_text(wrong)
    assert main(run) == 1
    assert "has no column Metadata_Moa" in capsys.readouterr().err
    (folder / "screen.yaml").write_text(SCREEN)
    assert main(run) == 0
    assert "== sphere: done before" in capsys.readouterr().out


def test_steps_take_the_table_of_the_step_before(tmp_path):
    path = tmp_path / "screen.yaml"
    path.write_text(
        "profile: {input: images, rescale_constant: 0.6, drop_border: true, csv: false}\n"
        "aggregate:\n"
        "sphere: {controls: a == 1, weights: {microsnoop: 1, classical: 2}}\n"
        "evaluate: {label: Metadata_MoA}\n"
        "report: {label: Metadata_Other}\n"
    )
    steps = plan_steps(read_sections(path), path, build_parser().parse_args)
    assert [step.name for step in steps] == ["profile", "aggregate", "sphere", "evaluate", "report"]
    assert str(steps[0]) == "microsnoop profile images --out=results/profiles --rescale-constant=0.6 --drop-border"
    assert steps[1].arguments[0] == "results/profiles/profiles.parquet"
    assert steps[2].arguments[0] == "results/aggregated.parquet"
    assert "--weights=microsnoop=1,classical=2" in steps[2].arguments
    assert steps[3].arguments[0] == steps[4].arguments[0] == "results/sphered.parquet"
    assert {"--before=results/aggregated.parquet", "--profiles=results/profiles"} < set(steps[4].arguments)
    assert {"--label=Metadata_Other", "--controls=a == 1"} < set(steps[4].arguments)


FULL = """
out: found
illumination: {statistic: median}
profile: {input: images, pattern: "{Well}_{Channel}.tif", classical: true, project: max}
qc: {threshold: 4}
combine: {tables: exported.db, match: location, where: Metadata_QC_Flags is None}
classify-train: {labels: [labeled.csv, further.csv], label: Class}
classify: {where: Metadata_QC_Flags is None}
explain: {between: ["Metadata_Role == 'negative'", "Metadata_Role == 'positive'"]}
aggregate: {where: Metadata_QC_Flags is None, platemap: map.csv}
normalize: {by: Metadata_Plate}
select-features: {blocklist: bad.txt}
activity: {controls: Metadata_Role == 'negative', treatment: [Metadata_Compound, Metadata_Dose], dose: Metadata_Dose}
compare-corrections: {batch: Metadata_Plate, treatment: Metadata_Compound}
correct: {method: harmony, batch: Metadata_Week}
evaluate: {label: Metadata_MoA, baseline: {untrained: untrained.parquet, old: old/wells.csv}, profiles: others}
report: {neighbors: 3}
"""


def planned(path, text):
    path.write_text(text)
    return {step.name: step for step in plan_steps(read_sections(path), path, build_parser().parse_args)}


def test_every_step_reads_what_earlier_ones_wrote(tmp_path):
    steps = planned(tmp_path / "screen.yaml", FULL)
    assert list(steps) == [kind.name for kind in STEPS if kind.name != "sphere"]
    measured, rows = "found/profiles/profiles.parquet", "found/profiles/combined.parquet"
    wells = "found/selected.parquet"
    first = {name: step.words[len(step.kind.words)] for name, step in steps.items()}
    assert first == {
        **{"illumination": "images", "profile": "images", "qc": "found/profiles", "combine": measured},
        **dict.fromkeys(("classify-train", "classify", "explain", "aggregate"), rows),
        **{"normalize": "found/aggregated.parquet", "select-features": "found/normalized.parquet"},
        **dict.fromkeys(("activity", "compare-corrections", "correct"), wells),
        **dict.fromkeys(("evaluate", "report"), "found/corrected.parquet"),
    }
    assert str(steps["illumination"]) == (
        "microsnoop illumination images --out=found/illumination '--pattern={Well}_{Channel}.tif' --project=max "
        "--statistic=median"
    )
    assert "--illumination=found/illumination" in steps["profile"].arguments
    assert steps["combine"].words[:4] == ["combine", measured, "exported.db", f"--out={rows}"]
    assert {"--labels=labeled.csv", "--labels=further.csv"} < set(steps["classify-train"].arguments)
    assert steps["classify"].words[:4] == ["classify", "apply", rows, "found/classifier.safetensors"]
    between = steps["explain"].arguments.index("--between")
    assert steps["explain"].arguments[between + 2] == "Metadata_Role == 'positive'"
    assert {
        *("--profiles=found/profiles", f"--before={wells}", "--activity=found/activity.csv", "--batch=Metadata_Week"),
        *("--corrections=found/corrections.csv", "--treatment=Metadata_Compound,Metadata_Dose", "--neighbors=3"),
        *("--controls=Metadata_Role == 'negative'", "--dose=Metadata_Dose", "--label=Metadata_MoA"),
    } < set(steps["report"].arguments)
    assert not [word for word in steps["report"].arguments if word.startswith("--transform")]


def test_a_step_is_outdated_by_every_file_that_it_reads(tmp_path):
    reads = {name: set(map(str, step.reads)) for name, step in planned(tmp_path / "screen.yaml", FULL).items()}
    rows = "found/profiles/combined.parquet"
    assert reads["illumination"] == {"images"}
    assert reads["qc"] == {"found/profiles"}
    assert reads["combine"] == {"found/profiles/profiles.parquet", "exported.db"}
    assert reads["classify-train"] == {rows, "labeled.csv", "further.csv"}
    assert reads["classify"] == {rows, "found/classifier.safetensors"}
    assert reads["aggregate"] == {rows, "map.csv"}
    assert {"found/normalized.parquet", "bad.txt"} == reads["select-features"]
    assert reads["evaluate"] == {"found/corrected.parquet", "untrained.parquet", "old/wells.csv", "others"}
    tables = "found/corrected.parquet", "found/selected.parquet", "found/activity.csv", "found/corrections.csv"
    assert reads["report"] == {*tables, "found/profiles", "found/explained.csv", "found/classes.parquet"}


def test_of_a_results_folder_its_table_and_flags_count(tmp_path):
    """Every start of a run writes its list of images."""
    for name in ("profiles.parquet", "quality.csv", "images.csv"):
        (tmp_path / name).write_text(name)
    assert [Path(name).name for name, _, _ in _state_of((tmp_path,), [])] == ["profiles.parquet", "quality.csv"]
    (tmp_path / "combined.parquet").write_text("joined")
    state = _state_of((tmp_path / "combined.parquet", tmp_path), [], (tmp_path / "quality.csv",))
    assert [Path(name).name for name, _, _ in state] == ["combined.parquet", "profiles.parquet"]
    state = _state_of((tmp_path / "combined.parquet" / "rna",), [])
    assert [Path(name).name for name, _, _ in state] == ["combined.parquet"]


def test_the_help_lists_the_steps_in_their_order(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    names = ", ".join(kind.name for kind in STEPS)
    assert names in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["screen.yaml", "screen-all-steps.yaml", "screen-object-sets.yaml"])
def test_the_examples_can_be_run(name):
    path = Path(__file__).parents[3] / "examples" / name
    steps = plan_steps(read_sections(path), path, build_parser().parse_args)
    assert steps[-1].name == "report"
    assert len(steps) == {"screen.yaml": 5, "screen-all-steps.yaml": len(STEPS) - 2, "screen-object-sets.yaml": 8}[name]


OBJECT_SETS = """
profile:
  input: LoadData.csv
  scale: each
  object_sets:
    Cells: {rescale-constant: 0.6}
    Nuclei: {mask: object}
qc:
classify-train: {label: Metadata_Kind}
classify:
aggregate: {where: Metadata_QC_ObjectFlags is None}
"""


def test_object_sets_become_one_row_per_cell(tmp_path, capsys):
    names = [f"cells{number}.tif" for number in range(6)]
    kinds = [f"kind{number % 2}" for number in range(6)]
    write_screen(tmp_path, 6, ObjectsFileName_Cells=names, Metadata_Kind=kinds)
    for number, name in enumerate(names):  # cell 2 has nucleus 1, cell 3 is empty; nucleus 2 lies in no cell
        cells = np.zeros((96, 96), np.uint8)
        cells[6:24, 6:22], cells[40:60, 40 : 60 + number] = 2, 3
        tifffile.imwrite(tmp_path / name, cells)
    (tmp_path / "screen.yaml").write_text(OBJECT_SETS)
    run = ["run", str(tmp_path / "screen.yaml")]
    assert main(run) == 0
    output = capsys.readouterr().out
    assert (
        "== microsnoop profile LoadData.csv --out=results/profiles/Cells --scale=each --rescale-constant=0.6" in output
    )
    assert "6 rows of results/profiles/Nuclei without a partner, left out" in output
    results = tmp_path / "results"
    joined = pd.read_parquet(results / "profiles" / "Cells" / "combined.parquet")
    assert joined["ObjectNumber"].tolist() == [2] * 6
    assert joined["Nuclei_Number_Object_Number"].tolist() == [1] * 6
    assert {"Cells_Microsnoop_E000_DNA", "Nuclei_Microsnoop_E000_GFP"} < set(joined)
    wells = pd.read_parquet(results / "aggregated.parquet")
    flagged = pd.read_csv(results / "profiles" / "Cells" / "object_flags.csv")
    assert len(wells) == 6 - (flagged["ObjectNumber"] == 2).sum()
    assert pd.read_parquet(results / "classes.parquet")["Metadata_Class"].notna().all()
    assert main(run) == 0
    again = capsys.readouterr().out
    assert [name for name in ("qc", "combine", "classify", "aggregate") if f"== {name}: done before" not in again] == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("object_sets: {Cells: }", "object_sets must hold two sets or more"),
        ("object_sets: [Cells, Nuclei]", "object_sets must hold two sets or more"),
        (
            "object_sets: {Cells: , Nuclei: {masc: object}}",
            "section profile Nuclei: unrecognized arguments: --masc=object",
        ),
        ("object_sets: {Cells: , Nuclei: {out: here}}", "section profile Nuclei: 'out' is set by the run"),
        (
            "object_sets: {Cells: , Nuclei: }\ncombine: {match: location}",
            "section combine: 'match' is set by the object sets of profile",
        ),
    ],
)
def test_mistakes_in_object_sets_are_named(tmp_path, section, message):
    section, _, others = section.partition("\n")
    path = tmp_path / "screen.yaml"
    path.write_text(f"profile: {{input: images, {section}}}\n{others}")
    with pytest.raises(InputError, match=re.escape(message)):
        plan_steps(read_sections(path), path, build_parser().parse_args)


def test_wells_in_all_steps(folder, capsys):
    steps = """
normalize: {method: standardize}
select-features: {correlation: 0.99}
activity: {controls: "Metadata_Role == 'negative'", treatment: [Metadata_Compound, Metadata_Dose], draws: 200}
compare-corrections: {batch: Metadata_Plate, treatment: Metadata_Compound}
correct: {method: harmony, batch: Metadata_Plate}
report: {title: Wells}
"""
    run = ["run", str(folder / "screen.yaml"), "--quiet"]
    (folder / "screen.yaml").write_text("table: wells.csv\n" + steps)
    assert main(run) == 0
    assert capsys.readouterr().out == ""
    results = folder / "results"
    assert {path.name for path in results.iterdir()} == {
        *("normalized.parquet", "selected.parquet", "dropped_features.csv", "activity.csv", "corrections.csv"),
        *("corrected.parquet", "report.html", "steps.json"),
    }
    page = (results / "report.html").read_text()
    assert "by the command activity" in page
    assert "normalize mad-robust, then harmony" in page
    assert main(run[:2]) == 0
    assert capsys.readouterr().out.count("done before") == 6
    (results / "dropped_features.csv").unlink()
    (results / "corrections.csv").unlink()
    assert main(run[:2]) == 0
    output = capsys.readouterr().out
    assert [name for name in ("normalize", "activity") if f"== {name}: done before" not in output] == ["activity"]
    assert (results / "corrections.csv").is_file()


def test_results_among_the_images_are_no_images(tmp_path):
    (tmp_path / "images" / "found").mkdir(parents=True)
    (tmp_path / "images" / "a.tif").write_bytes(b"image")
    (tmp_path / "images" / "found" / "aggregated.parquet").write_bytes(b"table")
    own = [tmp_path / "images" / "found" / name for name in ("aggregated.parquet", "steps.json")]
    state = _state_of((tmp_path / "images",), own)
    assert [name for name, _, _ in state] == [str(tmp_path / "images" / "a.tif")]
    assert len(_state_of((own[0],), own)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spere: {}", "has no section: add some of illumination, profile, qc"),
        (SCREEN + "spere: {}", "unknown section spere"),
        (SCREEN.replace("controls:", "control:"), "section sphere: the following arguments are required: --controls"),
        (SCREEN.replace("by:", "per:"), "section sphere: unrecognized arguments: --per=Metadata_Plate"),
        (SCREEN.replace("neighbors: 3", "neighbors: many"), "section evaluate: argument --neighbors: invalid int"),
        (
            SCREEN.replace("table: wells.csv", ""),
            "there is no table to sphere: add a section profile",
        ),
        (SCREEN.replace("wells.csv", "other.csv"), "there is no file or folder 'other.csv'"),
        (
            SCREEN.replace("neighbors: 3", "neighbors: 3, baseline: {raw: raw.csv}"),
            "section evaluate: there is no file or folder 'raw.csv'",
        ),
        ("profile: {mode: tile}", "section profile needs 'input'"),
        ("illumination: {}", "section profile needs 'input'"),
        ("table: wells.csv\nqc: {}", "there is no table to qc: add a section profile"),
        (SCREEN + "activity: {treatment: A}", "section activity: the following arguments are required: --controls"),
        (SCREEN + "classify: {}", "section classify: the following arguments are required: CLASSIFIER"),
        (SCREEN + "explain: {between: a == 1}", "section explain: argument --between: expected 2 arguments"),
        ("profile: {input: images}\nqc: {out: flagged.csv}", "section qc: 'out' is set by the run"),
        (SCREEN + "normalize: {out: here.csv}", "section normalize: 'out' is set by the run"),
        ("sphere: [1, 2]", "section sphere must hold 'setting: value' lines"),
        ("sphere: {a: b", "is not YAML"),
    ],
)
def test_mistakes_in_a_file_are_named(folder, capsys, text, message):
    (folder / "screen.yaml").write_text(text)
    assert main(["run", str(folder / "screen.yaml")]) == 1
    assert message in capsys.readouterr().err
    assert not list(folder.glob("*/sphered.parquet"))


def test_no_file(tmp_path, capsys):
    assert main(["run", str(tmp_path / "screen.yaml")]) == 1
    assert "there is no file" in capsys.readouterr().err


def test_a_fit_on_all_rows_names_no_controls_of_the_report(folder):
    path = folder / "screen.yaml"
    path.write_text(SCREEN.replace("\"Metadata_Role == 'negative'\", regularization: 0.3", "all, components: 3"))
    sphere, _, report = plan_steps(read_sections(path), path, build_parser().parse_args)
    assert {"--controls=all", "--components=3"} <= set(sphere.arguments)
    assert not [word for word in report.arguments if word.startswith("--controls")]
    assert main(["run", str(path)]) == 0
    assert {"PC1", "PC2", "PC3"} <= set(pd.read_parquet(folder / "found" / "sphered.parquet"))
