"""Feature selection: every drop has its reason; pycytominer's rules where they are sound."""

import numpy as np
import pandas as pd
import pytest
from pycytominer import feature_select
from pycytominer.operations import noise_removal

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.sphering.selection import select_informative, uninformative_features

RANDOM = np.random.default_rng(0)
NAMES = [f"Nuclei_AreaShape_F{number}" for number in range(8)]


def make(rows=120):
    groups = np.repeat([f"t{number}" for number in range(rows // 4)], 4)
    effect = np.repeat(RANDOM.normal(size=(rows // 4, 8)), 4, axis=0)
    values = effect + 0.4 * RANDOM.normal(size=(rows, 8))
    values[:, 1] = -values[:, 0] + 0.05 * RANDOM.normal(size=rows)  # a mirror image
    values[:, 2] = 7.0
    values[:, 3] = RANDOM.normal(size=rows)  # noise
    values[::3, 4] = np.nan
    return values, groups


VALUES, GROUPS = make()


def test_every_drop_has_its_reason():
    found = uninformative_features(VALUES, NAMES, GROUPS)
    assert list(found) == [NAMES[4], NAMES[2], NAMES[3], *(name for name in NAMES[:2] if name in found)]
    assert found[NAMES[4]] == "missing in 33 % of the rows"
    assert found[NAMES[2]] == "constant"
    assert found[NAMES[3]].startswith("deviation of replicates 0.8")
    (twin,) = set(NAMES[:2]) & set(found)
    assert found[twin] == f"correlates -1.00 with {NAMES[0] if twin == NAMES[1] else NAMES[1]}"
    quiet = uninformative_features(VALUES, NAMES)
    assert NAMES[3] not in quiet


def test_no_two_features_that_stay_correlate():
    values = RANDOM.normal(size=(60, 5)) @ RANDOM.normal(size=(5, 40))
    names = [f"f{number}" for number in range(40)]
    found = uninformative_features(values, names, correlation=0.7)
    kept = [number for number, name in enumerate(names) if name not in found]
    table = np.corrcoef(values[:, kept].T) - np.eye(len(kept))
    assert np.abs(table).max() <= 0.7
    for name, reason in found.items():
        size, other = reason.removeprefix("correlates ").split(" with ")
        assert other not in found
        true = np.corrcoef(values[:, names.index(name)], values[:, names.index(other)])[0, 1]
        assert float(size) == pytest.approx(true, abs=0.005)


def test_pycytominer_drops_the_same():
    """Its rules on pairs of twins, noise and variance; it has no eye for mirror images."""
    values = VALUES.copy()
    values[:, 4] = RANDOM.normal(size=120)
    values[:, 1] = values[:, 0] + 0.05 * RANDOM.normal(size=120)
    scaled = (values - values.mean(0)) / np.where(values.std(0) > 1e-9, values.std(0), 1)
    frame = pd.DataFrame(scaled, columns=NAMES).assign(Metadata_T=GROUPS)
    found = uninformative_features(scaled, NAMES)
    kept = feature_select(frame, features=NAMES, operation=["variance_threshold", "correlation_threshold"])
    assert set(found) == set(NAMES) - set(kept)
    noisy = uninformative_features(scaled, NAMES, GROUPS, correlation=1.0)
    peers = noise_removal(frame, "Metadata_T", features=NAMES, noise_removal_stdev_cutoff=0.8)
    assert {name for name, reason in noisy.items() if reason.startswith("deviation")} == set(peers)


def test_a_table_keeps_the_rest_and_writes_the_reasons(tmp_path, capsys, caplog):
    table, blocklist = tmp_path / "wells.csv", tmp_path / "blocklist.txt"
    pd.DataFrame(VALUES, columns=NAMES).assign(Metadata_T=GROUPS).to_csv(table, index=False)
    blocklist.write_text(f"# noisy\nblocklist\n{NAMES[7]}\n\n")
    out, reasons = tmp_path / "kept.parquet", tmp_path / "reasons.csv"
    words = ["--replicates", "Metadata_T", "--blocklist", str(blocklist), "--dropped", str(reasons), "--out", str(out)]
    assert main(["select-features", str(table), *words]) == 0
    printed = capsys.readouterr().out
    assert f"1 left out (in the blocklist): {NAMES[7]}" in printed
    assert "1 left out (missing in more than a fifth of the rows)" in printed
    kept, written = pd.read_parquet(out), pd.read_csv(reasons)
    assert sorted([*written["Feature"], *kept.columns]) == sorted([*NAMES, "Metadata_T"])
    assert f"120 rows, 3 features: {out}" in printed
    select_informative(table, blocklist=["nothing"])
    assert "no feature of the table is in the blocklist (nothing)" in caplog.text
    assert main(["select-features", str(table), "--out", str(out)]) == 0
    assert "noise is not judged without --replicates" in capsys.readouterr().out


def test_cells_are_no_replicates(tmp_path):
    """Nearly all features of single cells had been left out as noise."""
    cells = pd.DataFrame(VALUES, columns=NAMES).assign(Metadata_T=GROUPS, ImageNumber=GROUPS, ObjectNumber=range(120))
    with pytest.raises(
        InputError, match="its rows are objects, which are no replicates: aggregate them to wells first"
    ):
        select_informative(cells, replicates=["Metadata_T"])
    assert select_informative(cells).features


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correlation": 1.5}, "`correlation` from 0 to 1"),
        ({"replicates": ["Metadata_X"]}, "`replicates`: the table has no column Metadata_X"),
        ({"blocklist": NAMES}, "no feature is left of 8: in the blocklist"),
        ({"blocklist": "nowhere.txt"}, "`blocklist`: 'nowhere.txt' cannot be read"),
        ({"replicates": ["Metadata_N"]}, "`replicates`: nothing has two rows"),
    ],
)
def test_what_cannot_be_done_is_refused(options, message):
    frame = pd.DataFrame(VALUES, columns=NAMES).assign(Metadata_T=GROUPS, Metadata_N=np.arange(120).astype(str))
    with pytest.raises(InputError, match=message):
        select_informative(frame, **options)
