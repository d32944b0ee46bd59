"""Rows that are joined belong together: by number, by place, and by what both tables say."""

import anndata
import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.joining import combine, join_tables
from microsnoop_engine.tables.platemaps import join_platemap

KEY = ["Metadata_Plate", "Metadata_Well"]
# the labels 1, 3, 7 of the file; CellProfiler numbers the same objects 1, 2, 3
OURS = pd.DataFrame(
    {
        "ImageNumber": 1,
        "ObjectNumber": [1, 3, 7],
        "Metadata_Well": "A01",
        "Nuclei_Location_Center_X": [14.5, 96.5, 219.5],
        "Nuclei_Location_Center_Y": 25.0,
        "Nuclei_Microsnoop_E000_DNA": [0.1, 0.2, 0.3],
    }
)
THEIRS = pd.DataFrame(
    {
        "ImageNumber": 1,
        "ObjectNumber": [1, 2, 3],
        "Metadata_Well": "A1",
        "Nuclei_Location_Center_X": [14.9, 96.5, 219.1],
        "Nuclei_Location_Center_Y": 25.0,
        "Nuclei_AreaShape_Area": [100, 196, 400],
    }
)


def test_numbers_that_contradict_the_places_are_refused():
    with pytest.raises(
        InputError, match=r"1 of 2 rows .* up to 122\.6 pixels .*ImageNumber 1, ObjectNumber 3.*`match` loc"
    ):
        join_tables(OURS, THEIRS)


@pytest.mark.parametrize("place", ["Nuclei_AreaShape_Center", "Location_Center", "AreaShape_Center"])
def test_centers_of_other_names_are_evidence_too(place):
    """A table cut to shapes; one CSV file of CellProfiler, which does not name its object set."""
    theirs = THEIRS.rename(columns=lambda name: name.replace("Nuclei_Location_Center", place))
    with pytest.raises(InputError, match=r"centers of Nuclei are up to 122\.6 pixels apart"):
        join_tables(OURS, theirs)
    joined = join_tables(OURS, theirs, match="location")
    assert joined["Nuclei_AreaShape_Area"].tolist() == [100, 196, 400]


def test_rows_of_the_first_table_are_chosen(tmp_path, capsys, caplog):
    OURS.assign(Metadata_Site=[1, 2, 2]).to_csv(tmp_path / "a.csv", index=False)
    THEIRS.to_csv(tmp_path / "b.csv", index=False)
    tables = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    where = ["--match", "location", "--where", "Metadata_Site == 2", "--out", str(tmp_path / "c.csv")]
    caplog.set_level("INFO")
    assert main(["combine", *tables, *where]) == 0
    assert "1 of 3 rows are left out by the query" in caplog.text
    assert f"1 row of {tables[1]} without a partner among the chosen rows, left out" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "c.csv")["Nuclei_AreaShape_Area"].tolist() == [196, 400]
    with pytest.raises(InputError, match="has no column Nuclei_AreaShape_Area"):
        combine(tmp_path / "a.csv", tmp_path / "b.csv", match="location", where="Nuclei_AreaShape_Area > 100")


def test_features_of_any_name_are_joined(tmp_path, capsys):
    """DeepProfiler's columns are called efficientnet_0, ...: they are chosen as in every other command."""
    wells = pd.DataFrame({"Metadata_Plate": "P1", "Metadata_Well": ["A01", "A02"]})
    deep, shapes = tmp_path / "deep.parquet", tmp_path / "shapes.csv"
    wells.assign(efficientnet_0=[0.5, 0.25], efficientnet_1=[1.0, 2.0]).to_parquet(deep)
    wells.assign(Nuclei_AreaShape_Area=[10, 20]).to_csv(shapes, index=False)
    command = ["combine", str(deep), str(shapes), "--out", str(tmp_path / "both.h5ad")]
    assert main(command) == 1
    assert "choose numeric columns with --features" in capsys.readouterr().err
    assert main([*command, "--features", "efficientnet_.*|.*AreaShape.*"]) == 0
    both = anndata.read_h5ad(tmp_path / "both.h5ad")
    assert both.var_names.tolist() == ["efficientnet_0", "efficientnet_1", "Nuclei_AreaShape_Area"]
    assert both.X.tolist() == [[0.5, 1, 10], [0.25, 2, 20]]


def test_a_join_of_chosen_rows_keeps_what_anndata_knows_of_them(tmp_path):
    first, rows = tmp_path / "a.h5ad", 3
    cells = anndata.AnnData(np.arange(6.0).reshape(rows, 2), obsm={"X_map": np.arange(6.0).reshape(rows, 2)})
    cells.obs = OURS[["ImageNumber", "ObjectNumber"]].set_index(pd.Index(["x", "y", "z"]))
    cells.var_names = ["Nuclei_Microsnoop_E000_DNA", "Nuclei_Microsnoop_E001_DNA"]
    cells.write_h5ad(first)
    areas = OURS[["ImageNumber", "ObjectNumber"]].assign(Nuclei_AreaShape_Area=[1.0, 2.0, 3.0])
    combine(first, areas, where="ObjectNumber > 1", out=tmp_path / "c.h5ad")
    joined = anndata.read_h5ad(tmp_path / "c.h5ad")
    assert joined.obs_names.tolist() == ["y", "z"]
    assert joined.obsm["X_map"].tolist() == [[2, 3], [4, 5]]


def test_objects_without_centers_are_not_joined_in_silence(caplog):
    without = THEIRS.drop(columns=["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"])
    join_tables(OURS, without)
    assert "joined by their numbers alone" in caplog.text
    caplog.clear()
    wells = pd.DataFrame({"Metadata_Plate": 1, "Metadata_Well": ["A01"], "Nuclei_AreaShape_Area": [2.0]})
    others = wells.assign(Nuclei_AreaShape_Center_X=5.0, Nuclei_AreaShape_Center_Y=9.0, Nuclei_B=1.0)
    far = wells.assign(Nuclei_AreaShape_Center_X=50.0, Nuclei_AreaShape_Center_Y=90.0)
    assert len(join_tables(others, far)) == 1  # means over other cells
    assert "alone" not in caplog.text


def test_objects_are_joined_by_place(tmp_path, capsys):
    joined = combine(OURS, THEIRS[::-1], match="location")
    assert joined.frame["Nuclei_AreaShape_Area"].tolist() == [100, 196, 400]
    assert joined.frame["ObjectNumber"].tolist() == [1, 3, 7]
    assert joined.distance == pytest.approx(0.4)
    assert combine(OURS, THEIRS, match="location", tolerance=0.2).frame["ObjectNumber"].tolist() == [3]
    OURS.to_parquet(tmp_path / "a.parquet")
    THEIRS.to_csv(tmp_path / "b.csv", index=False)
    words = [str(tmp_path / name) for name in ("a.parquet", "b.csv")]
    assert main(["combine", *words, "--match", "location", "--out", str(tmp_path / "c.csv")]) == 0
    assert "at most 0.40 pixels apart" in capsys.readouterr().out


def test_two_objects_never_get_one_partner():
    crowded = pd.concat([OURS, OURS.assign(ObjectNumber=9, Nuclei_Location_Center_X=OURS.Nuclei_Location_Center_X + 1)])
    crowded["ObjectNumber"] = range(6)
    joined = join_tables(crowded, THEIRS, match="location")
    assert joined["Nuclei_AreaShape_Area"].tolist() == [100, 196, 400]
    assert joined["ObjectNumber"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("images", [1, 7])
def test_places_find_every_object_of_its_own_image(images):
    random = np.random.default_rng(images)
    places = np.stack(np.meshgrid(np.arange(9) * 20, np.arange(9) * 20), -1).reshape(-1, 2)
    rows = [(image, *(places[k] + random.uniform(-4, 4, 2)), k) for image in range(images) for k in range(81)]
    a = pd.DataFrame(rows, columns=["ImageNumber", "Cells_Location_Center_X", "Cells_Location_Center_Y", "one"])
    b = a.rename(columns={"one": "two"}).sample(frac=0.8, random_state=1)
    b["Cells_Location_Center_X"] += random.uniform(-1, 1, len(b))
    a["ObjectNumber"], b["ObjectNumber"] = range(len(a)), range(len(b))
    joined = join_tables(a, b, match="location")
    assert len(joined) == len(b)
    assert (joined["one"] == joined["two"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Nuclei_Parent_Cells": [1, 2, 9]}, "Nuclei_Parent_Cells differs in 1 of 3 rows .*number objects differently"),
        ({"Metadata_Well": "B01"}, "Metadata_Well differs in 3 of 3 rows .*'A01' and 'B01'.*different images"),
        ({"Metadata_File": "other.tif"}, "Metadata_File differs in 3 of 3 rows"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(change, message):
    a = OURS.assign(Nuclei_Parent_Cells=[1, 2, 3], Metadata_File="a.tif")
    b = THEIRS.assign(ObjectNumber=[1, 3, 7], Nuclei_Parent_Cells=[1.0, 2, np.nan], Metadata_File="a.tif")
    assert len(join_tables(a, b)) == 3
    with pytest.raises(InputError, match=message):
        join_tables(a, b.assign(**change))


def test_other_metadata_that_differ_are_named(caplog):
    join_tables(OURS.assign(Metadata_Drug="a"), THEIRS.assign(ObjectNumber=[1, 3, 7], Metadata_Drug="b"))
    assert "Metadata_Drug differs in 3 of 3 rows (first ImageNumber 1, ObjectNumber 1: 'a' and 'b')" in caplog.text


def test_features_of_one_name_must_be_the_same():
    a = OURS.assign(Nuclei_AreaShape_Area=[1.0, 2, 3])
    with pytest.raises(InputError, match="both tables hold the features Nuclei_AreaShape_Area with different values"):
        combine(a, THEIRS.assign(ObjectNumber=[1, 3, 7]))
    same = THEIRS.assign(ObjectNumber=[1, 3, 7], Nuclei_AreaShape_Area=[1, 2, 3])
    assert combine(a, same).features == ["Nuclei_Microsnoop_E000_DNA", "Nuclei_AreaShape_Area"]


def test_rows_without_a_key_are_left_out_and_counted(caplog):
    b = THEIRS.assign(ObjectNumber=[1, None, None])
    assert join_tables(OURS, b)["Nuclei_AreaShape_Area"].tolist() == [100]
    assert "2 rows of the second table without ImageNumber or ObjectNumber, left out" in caplog.text


def test_keys_are_compared_by_value():
    a = pd.DataFrame({"Metadata_Plate": [41744.0, 41754.0], "Metadata_Well": ["a1", "A - 2"], "x": [1.0, 2.0]})
    b = pd.DataFrame({"Plate": ["41754", "41744"], "Metadata_Well": ["r01c02", "A01"], "y": [20.0, 10.0]})
    joined = join_tables(a, b, ["Metadata_Plate=Plate", "Metadata_Well"])
    assert joined["y"].tolist() == [10, 20]
    assert joined["Metadata_Plate"].tolist() == [41744, 41754]
    zeros = b.assign(Plate="0" + b["Plate"])
    with pytest.raises(InputError, match="Metadata_Plate holds numbers in one table and words in the other"):
        join_tables(a, zeros, ["Metadata_Plate=Plate", "Metadata_Well"])


WELLS = pd.DataFrame({"Metadata_Plate": ["001", "001", "1"], "Metadata_Well": ["A1", "A2", "A1"], "Metadata_Drug": "?"})


def test_the_platemap_wins_and_says_so(tmp_path, caplog):
    (tmp_path / "map.csv").write_text("Plate,Well,Drug,Dose\n001,A01,DMSO,1\n1,A01,NA,2\n,,,\n")
    joined = join_platemap(WELLS, tmp_path / "map.csv", KEY)
    assert joined["Metadata_Drug"].tolist() == ["DMSO", "?", "NA"]
    assert joined["Metadata_Dose"].tolist() == [1, pd.NA, 2]
    assert joined["Metadata_Plate"].tolist() == ["001", "001", "1"]
    assert "Metadata_Drug differs between the table and" in caplog.text
    assert "in 2 of 2 wells (['001', 'A01']: ? and DMSO); the platemap's is used" in caplog.text
    assert "1 of 3 wells are not in" in caplog.text


def test_broad_platemaps(tmp_path):
    (tmp_path / "platemap").mkdir()
    for name, drug in (("C-1", "a"), ("C-2", "b")):
        text = "plate_map_name\twell_position\tbroad_sample\tmmoles_per_liter\n"
        text += f"{name}\tA01\t{drug}\t0.5\n{name}\tA02\t\t\n"
        (tmp_path / "platemap" / f"{name}.txt").write_text(text)
    barcodes = "Assay_Plate_Barcode,Plate_Map_Name\n001,C-1\n1,C-2\n002,C-1\n"
    (tmp_path / "barcode_platemap.csv").write_text(barcodes)
    joined = join_platemap(WELLS, tmp_path / "barcode_platemap.csv", KEY)
    assert joined["Metadata_broad_sample"].fillna("").tolist() == ["a", "", "b"]
    assert joined["Metadata_mmoles_per_liter"].fillna(0).tolist() == [0.5, 0, 0.5]
    one = join_platemap(WELLS[:2], tmp_path / "platemap" / "C-1.txt", ["Metadata_Well"])
    assert one["Metadata_broad_sample"].fillna("").tolist() == ["a", ""]
    (tmp_path / "barcode_platemap.csv").write_text(barcodes + "3,C-9\n")
    with pytest.raises(InputError, match=r"names the map C-9, which is not there: add '.*C-9.txt'"):
        join_platemap(WELLS, tmp_path / "barcode_platemap.csv", KEY)


@pytest.mark.parametrize("on", ["Barcode=Metadata_Plate", "Metadata_Plate=Barcode", "Metadata_Plate=Metadata_Barcode"])
def test_platemaps_with_other_names_of_keys(tmp_path, on):
    (tmp_path / "map.csv").write_text("Barcode,Well,Gene\n001,A01,TP53\n1,A1,None\n")
    joined = join_platemap(WELLS, tmp_path / "map.csv", [on, "Metadata_Well"])
    assert joined["Metadata_Gene"].fillna("").tolist() == ["TP53", "", "None"]


def test_wrong_numbers_of_a_platemap_are_shown(tmp_path, caplog):
    lines = ["Plate,Well,Dose", "001,A1,1", "001,A2,2.5", "1,A1,3"]
    (tmp_path / "map.csv").write_text("\n".join([*lines[:3], '1,A1,"0,1"']))
    join_platemap(WELLS, tmp_path / "map.csv", KEY)
    assert "column Dose: '0,1' in data row 3 is no number" in caplog.text
    (tmp_path / "map.csv").write_text("\n".join([*lines[:3], lines[0], lines[3]]))
    with pytest.raises(InputError, match=r"map\.csv', line 4 repeats the header"):
        join_platemap(WELLS, tmp_path / "map.csv", KEY)


def test_platemaps_that_do_not_fit_say_what_both_hold(tmp_path):
    (tmp_path / "map.csv").write_text("Plate,Well,Dose\n001,A1,1\n")
    with pytest.raises(
        InputError, match=r"such as \['1', 'A01'\]\); it has \['001', 'A01'\]: write plates and wells alike"
    ):
        join_platemap(WELLS.assign(Metadata_Plate=1), tmp_path / "map.csv", KEY)
    (tmp_path / "map.csv").write_text("Plate|Well|Dose\nP1|A01|0.1\n")
    with pytest.raises(InputError, match=r"its columns are separated by '\|': save it with commas"):
        join_platemap(WELLS, tmp_path / "map.csv", KEY)


def test_a_platemap_keeps_the_order_and_types_of_the_wells(tmp_path):
    table = WELLS.assign(Nuclei_Microsnoop_E000_DNA=[1.0, 2.0, 3.0])
    layout = pd.DataFrame(
        {"Plate": ["1", "001", "001"], "Well": ["a1", "A2", "A01"], "N": [1, 2, 3], "F": [True, False, True]}
    )
    result = aggregate(table, platemap=layout).frame
    assert result["Metadata_N"].tolist() == [3, 2, 1]
    assert result["Metadata_F"].tolist() == [True, False, True]
    assert result["Metadata_N"].dtype == np.int64
