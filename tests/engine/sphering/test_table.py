"""Sphering of tables: controls by query, groups, handcrafted columns beside ours, weights, choices by replicates."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.metrics import knn_predict
from microsnoop_engine.sphering.handcrafted import robust_z, uninformative
from microsnoop_engine.sphering.spherize import SpheringWarning, load_spherings
from microsnoop_engine.sphering.table import MISSING, best_regularization, sphere, sphere_frame

RANDOM = np.random.default_rng(0)
DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(6)]
HAND = ["Nuclei_Area", "Nuclei_Twice", "Nuclei_Flat", "Nuclei_Gap", "Nuclei_Texture"]


def make(rows=120):
    plate = np.repeat(["P1", "P2"], rows // 2)
    treatment = np.resize(["DMSO", "DMSO", "a", "b"], rows)
    values = RANDOM.normal(size=(rows, 6)) @ RANDOM.normal(size=(6, 6)) + (plate == "P2")[:, None] * 5
    values[treatment == "a", 0] += 2
    frame = pd.DataFrame({"Metadata_Plate": plate, "Metadata_T": treatment})
    frame[DEEP] = values
    area = RANDOM.gamma(5, 20, rows)
    frame["Nuclei_Area"], frame["Nuclei_Twice"], frame["Nuclei_Flat"] = area, 2 * area + 1, 4.0
    frame["Nuclei_Gap"] = np.where(np.arange(rows) == 7, np.nan, area**0.1)
    frame["Nuclei_Texture"] = RANDOM.normal(size=rows)
    return frame


FRAME = make()
QUERY = "Metadata_T == 'DMSO'"


@pytest.mark.parametrize("by", [None, "Metadata_Plate"])
def test_controls_of_each_group_are_whitened(by):
    found = sphere_frame(FRAME, DEEP, QUERY, by=by, regularization=0.0)
    for _, rows in found.frame.groupby(by) if by else [("", found.frame)]:
        controls = rows[rows["Metadata_T"] == "DMSO"][DEEP]
        np.testing.assert_allclose(np.cov(controls.T), np.eye(6), atol=1e-4)
        np.testing.assert_allclose(controls.mean(), 0, atol=1e-5)
    assert list(found.spherings) == (["P1", "P2"] if by else ["all"])
    assert list(found.frame.columns[:2]) == ["Metadata_Plate", "Metadata_T"]
    assert found.features == DEEP


def test_handcrafted_columns_are_scaled_and_chosen_by_name():
    found = sphere_frame(FRAME, [*DEEP, *HAND], QUERY)
    assert found.dropped == {
        "Nuclei_Twice": "as Nuclei_Area",
        "Nuclei_Flat": "constant over the controls",
        "Nuclei_Gap": "as Nuclei_Area",
    }
    assert (found.missing, found.incomplete) == (0, 1)
    assert found.frame.index[found.frame[DEEP].isna().all(axis=1)].tolist() == [7]
    assert found.features == [*DEEP, "Nuclei_Area", "Nuclei_Texture"]
    assert not set(found.dropped) & set(found.frame)


def test_robust_z_by_hand():
    values = np.array([[1.0, 3], [2, 3], [3, 3], [12, 3]])
    z = robust_z(values, np.array([True, True, True, False]))
    np.testing.assert_allclose(z[:, 0], np.array([-1, 0, 1, 10]) / 1.4826)
    assert np.isnan(z[:, 1]).all()
    with pytest.raises(InputError, match="no control rows"):
        robust_z(values, np.zeros(4, bool))


def test_uninformative_columns_are_named():
    x = RANDOM.normal(size=50)
    values = np.stack([x, -3 * x + 1e-3, np.full(50, 7.0), x**2, np.where(x > 2, np.inf, x)], axis=1)
    values[0, 4] = np.nan
    found = uninformative(values, list("abcde"))
    assert found == {"b": "as a", "c": "constant", "e": "missing values"}


def test_rows_without_features_stay_without():
    frame = FRAME.copy()
    frame.loc[[0, 5], DEEP] = np.nan
    found = sphere_frame(frame, DEEP, QUERY)
    assert found.missing == 2
    assert found.frame.loc[[0, 5], DEEP].isna().all(axis=None)
    assert found.frame.drop([0, 5])[DEEP].notna().all(axis=None)
    frame.loc[3, DEEP[2]] = np.nan
    rows, features, imputed = (sphere_frame(frame, DEEP, QUERY, missing=m) for m in MISSING)
    assert (rows.dropped, rows.incomplete) == ({}, 1)
    assert rows.frame.index[rows.frame[DEEP].isna().any(axis=1)].tolist() == [0, 3, 5]
    assert features.dropped == {DEEP[2]: "missing values"}
    assert imputed.dropped == {}
    assert imputed.frame.index[imputed.frame[DEEP].isna().any(axis=1)].tolist() == [0, 5]
    frame.loc[::3, DEEP[4]] = np.inf
    assert sphere_frame(frame, DEEP, QUERY).dropped == {DEEP[4]: "missing values"}


def test_controls_that_differ_by_rounding_only_make_no_feature_large():
    frame = FRAME.copy()
    treated = (frame["Metadata_T"] != "DMSO").to_numpy()
    for scale in (1e-15, 1e-6, 1e-4):
        frame["Nuclei_Texture"] = np.where(treated, 5 + RANDOM.random(120), 5 + scale * RANDOM.random(120))
        found = sphere_frame(frame, [*DEEP, "Nuclei_Texture"], QUERY, regularization=0.1)
        assert found.dropped == {"Nuclei_Texture": "constant over the controls"}
    frame["Nuclei_Texture"] = np.where(treated, 5 + RANDOM.random(120), 5 + 1e-2 * RANDOM.random(120))
    found = sphere_frame(frame, [*DEEP, "Nuclei_Texture"], QUERY, regularization=1e-6)
    assert list(found.dominant) == ["Nuclei_Texture"]
    clipped = sphere_frame(frame, [*DEEP, "Nuclei_Texture"], QUERY, regularization=1e-6, clip=1)
    assert not clipped.dominant


def test_one_outlying_well_does_not_make_a_feature_constant_over_the_controls():
    frame = FRAME.assign(Nuclei_Texture=RANDOM.normal(size=len(FRAME)))
    frame.loc[frame.index[(frame["Metadata_T"] != "DMSO").to_numpy()][0], "Nuclei_Texture"] = 1e5
    found = sphere_frame(frame, [*DEEP, "Nuclei_Texture"], QUERY, regularization=0.1)
    assert found.dropped == {}
    assert found.dominant == {"Nuclei_Texture": 1}


def test_principal_components_are_not_called_by_features():
    found = sphere_frame(FRAME, DEEP, QUERY, method="pca", regularization=0.0)
    assert found.features == ["PC1", "PC2", "PC3", "PC4", "PC5", "PC6"]
    with pytest.raises(InputError, match="`weights` need `method` zca"):
        sphere_frame(FRAME, DEEP, QUERY, method="pca-cor", weights={"microsnoop": 1})


def test_a_screen_without_controls_is_whitened_on_all_rows():
    frame = FRAME.copy()
    frame.loc[[0, 5], DEEP] = np.nan
    found = sphere_frame(frame, DEEP, "all", components=4, regularization=0.0)
    assert found.features == ["PC1", "PC2", "PC3", "PC4"]
    rows = found.frame[found.features]
    assert rows.isna().all(axis=1).sum() == found.missing == 2
    np.testing.assert_allclose(rows.cov(), np.eye(4), atol=1e-4)
    assert found.spherings["all"].diagnostics_.n == 118
    plates = sphere_frame(frame, DEEP, "all", by="Metadata_Plate", regularization=0.0)
    for _, plate in plates.frame.groupby("Metadata_Plate"):
        np.testing.assert_allclose(plate[DEEP].cov(), np.eye(6), atol=1e-4)
    chosen = sphere_frame(frame, DEEP, "all", regularization="auto", replicates="Metadata_T", components=4)
    assert len(chosen.features) == 4


def test_blocks_have_the_weights_that_are_set():
    found = sphere_frame(FRAME, [*DEEP, *HAND], QUERY, regularization=0.0, weights={"microsnoop": 1, "classical": 3})
    controls = found.frame[found.frame["Metadata_T"] == "DMSO"]
    assert controls[DEEP].var().sum() == pytest.approx(1, rel=1e-4)
    assert controls[["Nuclei_Area", "Nuclei_Texture"]].var().sum() == pytest.approx(3, rel=1e-4)


def test_regularization_is_chosen_by_replicates():
    rows = 200
    labels = np.resize(["DMSO", "DMSO", "a", "b", "c"], rows)
    values = RANDOM.normal(size=(rows, 30)) * np.r_[np.full(3, 30.0), np.ones(27)]
    for number, name in enumerate("abc"):
        values[labels == name, 3 + number] += 4
    controls, groups = labels == "DMSO", {"all": np.arange(rows)}
    assert best_regularization(values, controls, groups, labels, compared=~controls, grid=[0.1]) == 0.1
    frame = pd.DataFrame(values, columns=[f"Nuclei_Microsnoop_E{k:03d}_D" for k in range(30)])
    frame["Metadata_T"] = labels
    features = list(frame.columns[:30])

    def share(regularization):
        sphered = sphere_frame(
            frame, features, QUERY, method="zca", regularization=regularization, replicates="Metadata_T"
        ).frame
        treated = sphered[~controls]
        labels_of = treated["Metadata_T"].to_numpy()
        return (knn_predict(treated[features].to_numpy(), labels_of, k=1) == labels_of).mean()

    assert share("auto") >= max(share(1e-6), share(10.0))
    assert share("auto") > (knn_predict(values[~controls], labels[~controls], k=1) == labels[~controls]).mean()


def test_rows_without_a_name_are_no_replicates_of_each_other():
    frame = FRAME.copy()
    frame["Metadata_T"] = frame["Metadata_T"].astype(object)
    for blank in (None, np.nan, " "):
        unnamed = frame.assign(Metadata_T=frame["Metadata_T"].where(frame["Metadata_T"] == "DMSO", blank))
        with pytest.raises(InputError, match="no treatment has two rows"):
            sphere_frame(unnamed, DEEP, QUERY, regularization="auto", replicates="Metadata_T")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controls": "Metadata_T == 'water'"}, "no row is a control"),
        ({"by": "Metadata_Week"}, "`by`: the table has no column Metadata_Week"),
        ({"regularization": "auto"}, "`regularization` auto needs `replicates`"),
        (
            {"regularization": "auto", "replicates": "Metadata_None"},
            "`replicates`: the table has no column Metadata_None",
        ),
        ({"weights": {"deep": 1}}, "`weights` are {'deep': 1}: name microsnoop and classical"),
        ({"controls": "Metadata_T == 'DMSO' and Metadata_Plate == 'P1'", "by": "Metadata_Plate"}, "group 'P2' has 0"),
    ],
)
def test_what_cannot_be_done_is_refused(change, message):
    options = {"controls": QUERY, **change}
    with pytest.raises(InputError, match=message):
        sphere_frame(FRAME, DEEP, **options)
    with pytest.raises(InputError, match="no feature is left"):
        sphere_frame(FRAME, ["Nuclei_Flat"], QUERY)


def test_one_call_from_a_path_to_written_files(tmp_path):
    FRAME.to_parquet(tmp_path / "wells.parquet")
    out, save = tmp_path / "sphered.csv", tmp_path / "sphering.safetensors"
    result = sphere(tmp_path / "wells.parquet", QUERY, features="microsnoop", out=out, save=save)
    assert result.features == DEEP
    pd.testing.assert_frame_equal(pd.read_csv(out), result.frame, check_dtype=False)
    spherings, columns = load_spherings(save)
    np.testing.assert_array_equal(spherings["all"].matrix_, result.spherings["all"].matrix_)
    assert columns == DEEP
    with pytest.raises(InputError, match=r"wells\.parquet': `by`: the table has no column Metadata_Week"):
        sphere(tmp_path / "wells.parquet", QUERY, by="Metadata_Week")
    with pytest.raises(InputError, match=r"choose a name that ends in \.safetensors"):
        sphere(tmp_path / "nothing.parquet", QUERY, save=tmp_path / "sphering.pkl")


def test_a_group_with_few_controls_is_named_in_the_warning():
    few = pd.concat([FRAME[:6], FRAME[60:]])
    with pytest.warns(SpheringWarning, match="P1: only 4 controls for 6 features") as caught:
        sphere_frame(few, DEEP, QUERY, by="Metadata_Plate")
    assert len(caught) == 1
