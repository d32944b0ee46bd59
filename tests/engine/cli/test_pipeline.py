"""Test running a screen file: the whole chain, repeated and skipped steps, and mistakes in a file."""

import json
import shlex

import pandas as pd
import pytest
from wells import screen_table

from microsnoop_engine.cli.main import build_parser, main
from microsnoop_engine.cli.pipeline import plan_steps, read_sections

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spere: {}", "has no section: add some of profile, aggregate"),
        (SCREEN + "spere: {}", "unknown section spere"),
        (SCREEN.replace("controls:", "control:"), "section sphere: the following arguments are required: --controls"),
        (SCREEN.replace("by:", "per:"), "section sphere: unrecognized arguments: --per=Metadata_Plate"),
        (SCREEN.replace("neighbors: 3", "neighbors: many"), "section evaluate: argument --neighbors: invalid int"),
        (
            SCREEN.replace("table: wells.csv", ""),
            "there is no table to sphere: add a section profile",
        ),
        (SCREEN.replace("wells.csv", "other.csv"), "there is no file or folder 'other.csv'"),
        ("profile: {mode: tile}", "section profile needs 'input'"),
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
