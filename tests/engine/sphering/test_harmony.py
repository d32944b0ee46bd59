"""Harmony: harmony-pytorch's numbers, the order of rows, the seed; the table and the command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.metrics import knn_correct
from microsnoop_engine.sphering.corrected_table import correct, harmonize_frame
from microsnoop_engine.sphering.harmony import Harmony
from microsnoop_engine.sphering.table import sphere_frame

TOY = Path(__file__).resolve().parents[2] / "data" / "harmony.npz"
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def toy():
    """300 rows of 4 kinds in 3 batches, and what harmony-pytorch 0.1.8 makes of them (tests/data/README.md)."""
    with np.load(TOY) as data:
        return dict(data)


def cloud(rows=240, batches=3, features=5):
    """Kinds that overlap, so that the seed matters."""
    kind, batch = RANDOM.integers(0, 3, rows), RANDOM.permutation(np.resize(np.arange(batches), rows))
    values = RANDOM.normal(size=(rows, features)) + 1.5 * RANDOM.normal(size=(3, features))[kind]
    return values + RANDOM.normal(size=(batches, features))[batch], batch, kind


def test_equals_harmony_pytorch(toy):
    found = Harmony().fit_transform(toy["features"], toy["batches"])
    np.testing.assert_allclose(found, toy["corrected"], atol=1e-4)
    assert np.abs(found - toy["features"]).max() > 0.5


def test_batches_mix_and_kinds_stay_apart(toy):
    before, after = toy["features"], Harmony().fit_transform(toy["features"], toy["batches"])
    mixed = [knn_correct(values, toy["batches"], k=5).mean() for values in (before, after)]
    assert mixed[0] > 0.7
    assert mixed[1] < 0.4
    assert knn_correct(after, toy["kinds"], k=5).mean() >= knn_correct(before, toy["kinds"], k=5).mean()


def test_the_order_of_rows_changes_nothing():
    values, batch, _ = cloud()
    order = RANDOM.permutation(len(values))
    harmony = Harmony()
    found = harmony.fit_transform(values, batch)
    again = Harmony()
    np.testing.assert_array_equal(again.fit_transform(values[order], batch[order]), found[order])
    np.testing.assert_array_equal(again.assignments_, harmony.assignments_[order])
    np.testing.assert_allclose(harmony.assignments_.sum(1), 1)
    moved = Harmony().fit_transform(values + 100, batch) - 100
    np.testing.assert_allclose(moved, found, atol=1e-6)


def test_the_objective_falls_until_it_settles(toy):
    harmony = Harmony(rounds=30)
    harmony.fit_transform(toy["features"], toy["batches"])
    assert harmony.converged_
    assert harmony.objective_[-1] < harmony.objective_[0]
    hurried = Harmony(rounds=1)
    hurried.fit_transform(toy["features"], toy["batches"])
    assert not hurried.converged_


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, lambda x, b: (np.where(np.arange(5) == 2, np.nan, x), b), "rows 0, 1, 2, 3, 4, ... hold NaN"),
        ({}, lambda x, b: (x, np.zeros(len(x))), "all rows are of one batch"),
        ({}, lambda x, b: (x, np.where(np.arange(240) == 7, 9, b)), "batch '9' has 1 row: two are needed"),
        ({}, lambda x, b: (x, b[:3]), r"`X` has shape \(240, 5\) and `batches` \(3,\)"),
        ({"clusters": 1}, lambda x, b: (x, b), "`clusters` is 1: it must be from 2 to the 240 rows"),
        ({"sigma": 0}, lambda x, b: (x, b), "`sigma` and `ridge` above 0"),
    ],
)
def test_what_cannot_be_done_is_refused(settings, change, message):
    values, batch, _ = cloud()
    with pytest.raises(InputError, match=message):
        Harmony(**settings).fit_transform(*change(values, batch))


def test_tables_keep_their_gaps_and_tell_what_the_seed_decides():
    values, batch, _ = cloud()
    names = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(5)]
    frame = pd.DataFrame(values, columns=names).assign(Metadata_Plate=batch.astype(str), Nuclei_AreaShape_Area=4.0)
    frame["Nuclei_AreaShape_Form"] = RANDOM.random(240) * 1000
    frame["Nuclei_AreaShape_Twice"] = frame["Nuclei_AreaShape_Form"] * 2
    frame.loc[3, names[0]] = np.nan
    frame.loc[5, "Metadata_Plate"] = None
    every = [*names, "Nuclei_AreaShape_Area", "Nuclei_AreaShape_Form", "Nuclei_AreaShape_Twice"]
    found = harmonize_frame(frame, every, "Metadata_Plate")
    assert found.dropped == {"Nuclei_AreaShape_Area": "constant", "Nuclei_AreaShape_Twice": "as Nuclei_AreaShape_Form"}
    assert found.missing == 2
    assert found.frame.index[found.frame[names].isna().all(axis=1)].tolist() == [3, 5]
    assert sum(found.batches.values()) == 238
    assert found.frame["Nuclei_AreaShape_Form"].abs().max() < 10  # scaled, not in thousands
    one, other = (harmonize_frame(frame, names, "Metadata_Plate", seed=seed).frame[names].dropna() for seed in (0, 1))
    plain = harmonize_frame(frame, names, "Metadata_Plate")
    apart = np.sqrt(((one - other) ** 2).to_numpy().mean()) / one.to_numpy().std()
    assert plain.seed_effect == pytest.approx(apart, rel=1e-3)
    assert 0 <= plain.seed_neighbors < 0.5


@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
def test_one_call_for_every_method(tmp_path, capsys):
    frame = screen_table()
    table, out = tmp_path / "wells.parquet", tmp_path / "corrected.parquet"
    frame.to_parquet(table)
    same = correct(table, "none", out=out)
    pd.testing.assert_frame_equal(same.frame, frame)
    sphered = correct(table, "sphering", controls=ROLES.controls, regularization=0.3)
    expected = sphere_frame(frame, FEATURES, ROLES.controls, regularization=0.3)
    pd.testing.assert_frame_equal(sphered.frame, expected.frame)
    assert main(["correct", str(table), "--method", "harmony", "--batch", "Metadata_Plate", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 batches (rows: P1 24, P2 24)" in printed
    assert "another seed moves the numbers by " in printed
    written = pd.read_parquet(out)
    assert knn_correct(written[FEATURES].to_numpy(), written["Metadata_Plate"].to_numpy(str), k=5).mean() < 0.6
    for method, needed in (("harmony", "batch"), ("sphering", "controls")):
        assert main(["correct", str(table), "--method", method, "--out", str(out)]) == 1
        assert f"--method {method} needs --{needed}" in capsys.readouterr().err
    with pytest.raises(InputError, match="`method` is 'combat': choose one of sphering, harmony, none"):
        correct(table, "combat")
