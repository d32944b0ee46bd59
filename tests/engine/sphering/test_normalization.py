"""Normalization of arrays and tables, against pycytominer, SciPy, and the definition of TVN."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pycytominer
import pytest
from scipy.stats import norm, spearmanr
from sklearn.exceptions import NotFittedError

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.sphering.normalization import Normalize, rank_to_normal
from microsnoop_engine.sphering.normalized_table import normalize, normalize_frame
from microsnoop_engine.sphering.spherize import SpheringWarning
from microsnoop_engine.sphering.typical_variation import TypicalVariation

RANDOM = np.random.default_rng(0)
FEATURES = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(5)]
QUERY = "Metadata_Role == 'negative'"
EXPORT = Path(os.environ.get("MICROSNOOP_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
EXPORT = EXPORT / "exports" / "pycytominer.csv.gz"


def make(rows=80):
    frame = pd.DataFrame({"Metadata_Plate": np.repeat(["P1", "P2"], rows // 2)})
    frame["Metadata_Role"] = np.resize(["negative", "treated"], rows)
    frame[FEATURES] = RANDOM.gamma(3, 2, (rows, 5)) + (frame["Metadata_Plate"] == "P2").to_numpy()[:, None] * [
        0,
        1,
        2,
        3,
        9,
    ]
    return frame


FRAME = make()


@pytest.mark.parametrize(("method", "peer"), [("standardize", "standardize"), ("mad-robust", "mad_robustize")])
@pytest.mark.parametrize("controls", ["all", QUERY])
def test_equals_pycytominer_plate_by_plate(method, peer, controls):
    found = normalize_frame(FRAME, FEATURES, method, controls=controls, by="Metadata_Plate")
    for plate, rows in FRAME.groupby("Metadata_Plate"):
        expected = pycytominer.normalize(
            rows, features=FEATURES, meta_features=["Metadata_Plate", "Metadata_Role"], samples=controls, method=peer
        )
        mine = found.frame[found.frame["Metadata_Plate"] == plate]
        np.testing.assert_allclose(mine[FEATURES], expected[FEATURES], rtol=1e-5, atol=1e-6)
    assert found.groups == dict.fromkeys(("P1", "P2"), (40, 40 if controls == "all" else 20))


@pytest.mark.skipif(not EXPORT.exists(), reason="needs the exports that tests/helpers/cut_exports.py cuts")
@pytest.mark.parametrize(("method", "peer"), [("standardize", "standardize"), ("mad-robust", "mad_robustize")])
def test_equals_pycytominer_on_its_own_plate(method, peer):
    frame, controls = pd.read_csv(EXPORT), "Metadata_broad_sample == 'DMSO'"
    features = [name for name in frame if not name.startswith("Metadata_")]
    expected = pycytominer.normalize(frame, features=features, samples=controls, method=peer)
    found = normalize(EXPORT, method, controls=controls)
    assert not found.dropped
    np.testing.assert_allclose(found.frame[features], expected[features], rtol=1e-4, atol=1e-5)


def test_a_feature_of_few_values_does_not_become_a_quintillion():
    """pycytominer divides by 1e-18 where most controls are equal."""
    frame = FRAME.assign(Nuclei_Foci=np.resize([0, 1, 0, 0, 0, 0, 0, 0, 1, 0], len(FRAME)))
    found = normalize_frame(frame, ["Nuclei_Foci"], controls=QUERY)
    assert found.without_mad == 1
    controls = (FRAME["Metadata_Role"] == "negative").to_numpy()
    assert found.frame["Nuclei_Foci"].abs().max() == pytest.approx(1 / frame.loc[controls, "Nuclei_Foci"].std(ddof=0))


def test_ranks_become_normal_quantiles():
    values = np.array([[3.0, 1], [1, 1], [2, np.nan], [100, 5]])
    expected = norm.ppf((np.array([3, 1, 2, 4]) - 0.375) / 4.25)
    found = rank_to_normal(values)
    np.testing.assert_allclose(found[:, 0], expected)
    np.testing.assert_allclose(found[:, 1], norm.ppf(np.array([1.125, 1.125, np.nan, 2.625]) / 3.25))
    frame = normalize_frame(FRAME, FEATURES, "rank-normal", by="Metadata_Plate").frame
    for plate, rows in frame.groupby("Metadata_Plate"):
        raw = FRAME.loc[FRAME["Metadata_Plate"] == plate, FEATURES]
        peer = pycytominer.operations.transform.InverseNormalTransform().fit(raw.to_numpy()).transform(raw.to_numpy())
        for column, name in enumerate(FEATURES):
            assert spearmanr(rows[name], peer[:, column]).statistic == pytest.approx(1)
        np.testing.assert_allclose(rows[FEATURES].mean(), 0, atol=1e-6)


def test_the_controls_of_batches_are_typical_after_tvn():
    rows = 4000
    batch = np.repeat(["a", "b"], rows // 2)
    values = RANDOM.normal(size=(rows, 4)) @ RANDOM.normal(size=(4, 4))
    values[batch == "b"] = values[batch == "b"] * [1, 3, 0.5, 1] + 7
    variation = TypicalVariation(0.0).fit(values, batch)
    found = variation.transform(values, batch)
    whitened = variation.sphering_.transform(values)
    centered = whitened - np.where((batch == "a")[:, None], *(whitened[batch == name].mean(0) for name in "ab"))
    for name in ("a", "b"):
        part = found[batch == name]
        np.testing.assert_allclose(part.mean(0), 0, atol=1e-9)
        source, target = np.cov(whitened[batch == name].T) + np.eye(4), centered.T @ centered / (rows - 1) + np.eye(4)
        _, matrix = variation.batches_[name]
        np.testing.assert_allclose(matrix.T @ source @ matrix, target, atol=1e-9)  # the promise of CORAL
    apart = np.abs(np.cov(whitened[batch == "a"].T) - np.cov(whitened[batch == "b"].T)).max()
    assert np.abs(np.cov(found[batch == "a"].T) - np.cov(found[batch == "b"].T)).max() < apart
    with pytest.raises(InputError, match="batch 'c' has no controls"):
        variation.transform(values[:1], ["c"])
    table = normalize_frame(FRAME, FEATURES, "tvn", controls=QUERY, by="Metadata_Plate").frame
    controls = table[table["Metadata_Role"] == "negative"].groupby("Metadata_Plate")[FEATURES].mean()
    np.testing.assert_allclose(controls, 0, atol=1e-5)


def test_gaps_stay_and_are_counted():
    frame = FRAME.copy()
    frame.loc[3, FEATURES[1]] = np.nan
    frame.loc[7, FEATURES] = np.nan
    frame["Nuclei_Flat"] = np.where(frame["Metadata_Plate"] == "P2", 4.0, RANDOM.random(len(frame)))
    frame["Nuclei_Gap"] = np.where(frame["Metadata_Plate"] == "P1", np.nan, RANDOM.random(len(frame)))
    found = normalize_frame(frame, [*FEATURES, "Nuclei_Flat", "Nuclei_Gap"], by="Metadata_Plate")
    assert found.dropped == {
        "Nuclei_Flat": "constant over the rows of P2",
        "Nuclei_Gap": "missing in the rows of P1",
    }
    assert (found.missing, found.incomplete) == (0, 2)
    assert found.frame[FEATURES].isna().to_numpy().sum() == 6
    tvn = normalize_frame(frame, FEATURES, "tvn", controls=QUERY, by="Metadata_Plate")
    assert tvn.frame.index[tvn.frame[FEATURES].isna().all(axis=1)].tolist() == [3, 7]
    assert (tvn.missing, tvn.incomplete) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "minmax"}, "`method` is 'minmax': choose one of standardize, mad-robust, rank-normal, tvn"),
        ({"method": "rank-normal", "controls": QUERY}, "`method` rank-normal ranks all rows"),
        ({"method": "tvn", "controls": QUERY}, "`method` tvn needs `controls`, and `by`"),
        ({"by": "Metadata_Week"}, "`by`: the table has no column Metadata_Week"),
        ({"controls": "Metadata_Role == 'no'"}, "no row is a control"),
        ({"controls": f"{QUERY} and Metadata_Plate == 'P1'", "by": "Metadata_Plate"}, "group 'P2' has 0 control rows"),
    ],
)
def test_what_cannot_be_done_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        normalize_frame(FRAME, FEATURES, **options)


def test_estimators_refuse_bad_arrays():
    with pytest.raises(NotFittedError):
        Normalize().transform(np.ones((2, 2)))
    with pytest.raises(InputError, match="columns 1 are constant over the reference rows"):
        Normalize().fit(np.array([[1.0, 2], [3, 2]]))
    with pytest.raises(InputError, match="two reference rows"):
        Normalize().fit(np.ones((1, 2)))
    with pytest.raises(InputError, match="5 columns are needed"):
        Normalize().fit(FRAME[FEATURES].to_numpy()).transform(np.ones((3, 4)))
    with pytest.warns(SpheringWarning, match="only 4 controls"), pytest.raises(InputError, match="'b' has 1 control:"):
        TypicalVariation().fit(FRAME[FEATURES].to_numpy()[:4], ["a", "a", "a", "b"])


def test_the_command_counts_what_it_does(tmp_path, capsys):
    table, out = tmp_path / "wells.csv", tmp_path / "n.parquet"
    FRAME.iloc[32:48].to_csv(table, index=False)
    assert main(["normalize", str(table), "--controls", QUERY, "--by", "Metadata_Plate", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "P1: 8 rows, normalized on 4 of them" in printed.out
    assert "WARNING: P1: the spread of 4 rows is uncertain by about 41 %" in printed.err
    assert f"16 rows, 5 features: {out}" in printed.out
    assert main(["normalize", str(table), "--method", "tvn", "--out", str(out)]) == 1
    assert "--method tvn needs --controls, and --by: the column of the batches" in capsys.readouterr().err
