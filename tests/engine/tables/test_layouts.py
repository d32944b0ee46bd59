"""Tables as other programs lay them out: folders, databases, headers, types that differ between files."""

import bz2
import sqlite3

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from microsnoop_engine.errors import InputError
from microsnoop_engine.sphering.table import sphere
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.cellprofiler_exports import _Packed
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.joining import combine
from microsnoop_engine.tables.provenance import Computed, Handcrafted
from microsnoop_engine.tables.source import in_memory, read_frame

DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(3)]


def wells(plates=("P1", "P2")):
    random = np.random.default_rng(0)
    frame = pd.DataFrame([(p, f"A{k:02d}") for p in plates for k in range(1, 7)])
    frame.columns = ["Metadata_Plate", "Metadata_Well"]
    frame["Metadata_Role"] = np.resize(["negative", "treated"], len(frame))
    return frame.join(pd.DataFrame(random.normal(size=(len(frame), 3)).round(6), columns=DEEP))


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def data_set(folder, *tables):
    folder.mkdir(parents=True)
    for number, table in enumerate(tables):
        table.to_parquet(folder / f"{number}.parquet", index=False)
    return folder


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, "TP53", [None, "TP53"]),
        (1, 1.5, [1.0, 1.5]),
        (41744, "0012", ["41744", "0012"]),
        (41744.0, "NA", ["41744", "NA"]),
        (np.nan, "x", [None, "x"]),
        (True, None, [True, None]),
        (2**60, None, [2**60, None]),
        ([1, 2], [3], ["[1, 2]", "[3]"]),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_files_of_a_folder_may_hold_other_types(tmp_path, first, second, expected, turned):
    tables = [wells(("P1",))[:1].assign(Metadata_X=pd.Series([value])) for value in (first, second)]
    folder = data_set(tmp_path / "t.parquet", *(tables[::-1] if turned else tables))
    found = [None if pd.isna(value) else value for value in read_frame(open_table(folder))["Metadata_X"]]
    assert found == (expected[::-1] if turned else expected)


def test_a_column_that_a_file_lacks(tmp_path, caplog):
    one, two = wells(("P1",)), wells(("P2",)).assign(Metadata_Gene="TP53")
    found = read_frame(open_table(data_set(tmp_path / "t.parquet", one, two)))
    assert found["Metadata_Gene"].notna().tolist() == [False] * 6 + [True] * 6
    assert "1 of 2 files have no column Metadata_Gene" in caplog.text
    with pytest.raises(InputError, match=f"0.parquet' has no column {DEEP[1]}, which '.*1.parquet' has"):
        open_table(data_set(tmp_path / "u.parquet", one.drop(columns=DEEP[1]), two))


def test_partitioned_data_sets(tmp_path):
    frame = wells(("001", "1E2")).assign(Metadata_Gene=np.resize(["a=b/c", "NA"], 12))
    frame.to_parquet(tmp_path / "t.parquet", index=False, partition_cols=["Metadata_Plate", "Metadata_Gene"])
    found = read_frame(open_table(tmp_path / "t.parquet"))[list(frame)]
    order = ["Metadata_Plate", "Metadata_Well"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), frame.sort_values(order, ignore_index=True)
    )
    frame.to_parquet(tmp_path / "plates", index=False, partition_cols=["Metadata_Plate"])
    assert len(read_frame(open_table(tmp_path / "plates"))) == 12


def test_features_that_are_kept_as_text_or_decimals(tmp_path):
    frame = wells().assign(Metadata_Dose=1)
    texts = frame.assign(**{DEEP[0]: frame[DEEP[0]].astype(str), DEEP[1]: [*frame[DEEP[1]].astype(str)[:-1], "nan"]})
    texts.to_parquet(tmp_path / "t.parquet", index=False)
    source = open_table(tmp_path / "t.parquet")
    assert select_features(source) == DEEP
    found = read_frame(source)
    np.testing.assert_allclose(found[DEEP[0]], frame[DEEP[0]])
    assert found[DEEP[1]].isna().tolist() == [False] * 11 + [True]
    table = pa.table({"Metadata_Dose": pa.array([1, None]).cast(pa.decimal128(22, 2)), DEEP[0]: pa.array([1.0, 2])})
    pa.parquet.write_table(table, tmp_path / "d.parquet")
    assert read_frame(open_table(tmp_path / "d.parquet"))["Metadata_Dose"].fillna(-1).tolist() == [1, -1]


@pytest.mark.parametrize("ending", [".feather", ".csv.bz2", ".csv.zst", ".tsv.gz", ".txt"])
def test_more_endings(tmp_path, ending):
    frame, path = wells(("001",)), tmp_path / f"t{ending}"
    if ending == ".feather":
        frame.to_feather(path)
    elif ending == ".csv.bz2":
        path.write_bytes(bz2.compress(frame.to_csv(index=False).encode()))
    elif ending == ".csv.zst":
        with pa.output_stream(path, compression="zstd") as file:
            file.write(frame.to_csv(index=False).encode())
    else:
        frame.to_csv(path, index=False, sep="\t")
    pd.testing.assert_frame_equal(read_frame(open_table(path)), frame)


# ---- programs --------------------------------------------------------------------------------------------------------


def test_two_header_rows_of_cellprofiler(tmp_path):
    (tmp_path / "MyExpt_Cells.csv").write_text(
        "Image,Nuclei,Image,Nuclei,Nuclei,Cells,Cells\n"
        "ImageNumber,ObjectNumber,Metadata_Well,AreaShape_Area,Number_Object_Number,AreaShape_Area,Parent_Nuclei\n"
        "1,1,A01,10,1,100,1\n1,2,A01,20,2,200,2\n"
    )
    frame = read_frame(open_table(tmp_path / "MyExpt_Cells.csv"))
    assert list(frame) == [
        "ImageNumber", "ObjectNumber", "Metadata_Well", "Nuclei_AreaShape_Area", "Nuclei_Number_Object_Number",
        "Cells_AreaShape_Area", "Cells_Parent_Nuclei",
    ]  # fmt: skip
    assert frame["Cells_AreaShape_Area"].tolist() == [100, 200]
    assert aggregate(tmp_path / "MyExpt_Cells.csv").features == ["Nuclei_AreaShape_Area", "Cells_AreaShape_Area"]


def test_columns_without_a_name(tmp_path):
    (tmp_path / "a.csv").write_text("Metadata_Well,x,,\nA01,1,,\nA02,2,,\n")
    assert read_frame(open_table(tmp_path / "a.csv"), ["Metadata_Well", "x"]).to_numpy().tolist() == [
        ["A01", 1],
        ["A02", 2],
    ]


def test_cytotable(tmp_path):
    frame = wells().rename(columns=lambda name: f"Image_{name}" if name.startswith("Metadata_") else name)
    frame.assign(Metadata_ImageNumber=1, Metadata_ObjectNumber=range(12)).to_parquet(tmp_path / "t.parquet")
    result = aggregate(tmp_path / "t.parquet")
    assert len(result.frame) == 12
    assert result.features == DEEP
    assert {"Metadata_Plate", "Metadata_Well", "Metadata_Role"} <= set(result.frame)


def test_in_carta(tmp_path):
    (tmp_path / "t.csv").write_text(
        "OBJECT ID,Row,Column,FOV,WELL LABEL,Z,T,Nuclei Max left border wv1,Nuclei cg Y wv1,Nuclei Area wv1\n"
        "1,A,1,1,A - 1,0,0,7,9,10\n2,A,1,2,A - 1,0,0,8,8,20\n1,A,2,1,A - 2,0,0,9,7,5\n"
    )
    source = open_table(tmp_path / "t.csv")
    assert select_features(source) == ["Nuclei Area wv1"]
    wells = aggregate(source).frame
    assert wells["Nuclei Area wv1"].tolist() == [15, 5]
    assert select_features(in_memory(wells)) == ["Nuclei Area wv1"]


def database(path, **tables):
    with sqlite3.connect(path) as connection:
        for name, table in tables.items():
            table.to_sql(name, connection, index=False)
    return path


IMAGES = pd.DataFrame(
    {"ImageNumber": [1, 2], "Image_Metadata_Plate": ["001", "1E2"], "Image_Metadata_Well": ["A01", "A02"]}
)
NUCLEI = pd.DataFrame({"ImageNumber": [1, 1, 2], "ObjectNumber": [1, 2, 1], "Nuclei_AreaShape_Area": [10.0, 20, 30]})


def test_cytominer_database(tmp_path):
    keys = [IMAGES.assign(TableNumber=number) for number in (1, 2)]
    rows = [NUCLEI.assign(TableNumber=number) for number in (1, 2)]
    other = "Cells_AreaShape_Area"
    path = database(
        tmp_path / "screen.sqlite",
        Image=pd.concat([keys[0], keys[1].assign(Image_Metadata_Plate="2")]),
        Nuclei=pd.concat(rows),
        Cells=pd.concat(rows).rename(columns={"Nuclei_AreaShape_Area": other}),
        Cytoplasm=pd.concat(rows)
        .rename(columns={"Nuclei_AreaShape_Area": "Cytoplasm_AreaShape_Area"})
        .assign(Cytoplasm_Parent_Cells=[1, 2, 1] * 2, Cytoplasm_Parent_Nuclei=[2, 1, 1] * 2),
    )
    frame = read_frame(open_table(path))
    assert frame["Metadata_Plate"].tolist() == ["001", "001", "1E2", "2", "2", "2"]
    assert frame["Nuclei_AreaShape_Area"].tolist() == [20, 10, 30] * 2
    assert frame[other].tolist() == [10, 20, 30] * 2
    assert len(aggregate(path).frame) == 4


def test_a_folder_per_site(tmp_path):
    for number, (plate, well) in enumerate((("001", "A01"), ("BR1", "A01"), ("BR1", "A02"))):
        folder = tmp_path / plate / f"{well}-1"
        folder.mkdir(parents=True)
        image = pd.DataFrame({"ImageNumber": [1], "Metadata_Plate": plate, "Metadata_Well": well})
        image.to_csv(folder / "Image.csv", index=False)
        objects = NUCLEI[:2].rename(columns={"Nuclei_AreaShape_Area": "AreaShape_Area"})
        objects.assign(AreaShape_Area=[number, number + 1.0]).to_csv(folder / "Nuclei.csv", index=False)
    result = aggregate(tmp_path).frame
    assert result[["Metadata_Plate", "Metadata_Well"]].to_numpy().tolist() == [
        ["001", "A01"],
        ["BR1", "A01"],
        ["BR1", "A02"],
    ]
    assert result["Nuclei_AreaShape_Area"].tolist() == [0.5, 1.5, 2.5]
    assert read_frame(open_table(tmp_path))["TableNumber"].tolist() == [1, 1, 2, 2, 3, 3]
    pd.DataFrame({"ImageNumber": [1], "ObjectNumber": [1], "x": [1]}).to_csv(folder / "Nuclei.csv", index=False)
    with pytest.raises(InputError, match="has no column Nuclei_"):
        open_table(tmp_path)


def test_an_export_names_weights_and_programs(tmp_path):
    """As CellProfiler 4.2.8.1 writes Experiment.csv, and an earlier version."""
    for name, sha256, version in (("a", "0a1b", "4.2.8.1"), ("b", "0a1b", "4.2.6")):
        (tmp_path / name).mkdir()
        pd.DataFrame({"ImageNumber": [1], "Metadata_Well": name}).to_csv(tmp_path / name / "Image.csv", index=False)
        NUCLEI[:2].to_csv(tmp_path / name / "Nuclei.csv", index=False)
        (tmp_path / name / "Experiment.csv").write_text(
            f"Key,Value\nCellProfiler_Version,{version}\nMicrosnoop_Version,0.1.0\nMicrosnoop_Weights,microsnoop-fast\n"
            f'Microsnoop_WeightsSHA256,{sha256}\nPipeline_Pipeline,"CellProfiler Pipeline\nVersion:5\n"\n'
        )
    weights = Computed("microsnoop-fast 0a1b", "")
    assert open_table(tmp_path / "a").provenance == (weights, Handcrafted("CellProfiler 4.2.8.1"))
    programs = (Handcrafted("CellProfiler 4.2.8.1"), Handcrafted("CellProfiler 4.2.6"))
    assert open_table(tmp_path).provenance == (weights, *programs)
    experiment = tmp_path / "b" / "Experiment.csv"
    experiment.write_text(experiment.read_text().replace("0a1b", "ffff"))
    with pytest.raises(
        InputError, match=r"a' and '.*b' were measured with different weights \(microsnoop-fast \(0a1b\);"
    ):
        open_table(tmp_path)
    experiment.unlink()
    assert open_table(tmp_path / "b").provenance == (Handcrafted("CellProfiler"),)
    experiment = pd.DataFrame({"CellProfiler_Version": ["4.2.8.1"], "Microsnoop_Weights": [None]})
    path = database(tmp_path / "a.db", My_Per_Image=IMAGES, My_Per_Nuclei=NUCLEI, My_Per_Experiment=experiment)
    assert open_table(path).provenance == (Handcrafted("CellProfiler 4.2.8.1"),)


def test_rows_that_hold_no_object_are_left_out_and_counted(tmp_path, caplog):
    kept = pd.DataFrame(
        {
            "ImageNumber": 1,
            "Kept_Number_Object_Number": [1, 2, 3, None, None],
            "Kept_Location_Center_X": [10.5, None, 30.5, None, None],
            "Kept_Intensity_MeanIntensity_DNA": [0.4, 0.0, 0.6, None, None],
        }
    )
    row = aggregate(database(tmp_path / "a.db", My_Per_Image=IMAGES[:1], My_Per_Kept=kept)).frame.iloc[0]
    assert (row["Metadata_Object_Count"], row["Kept_Intensity_MeanIntensity_DNA"]) == (2, 0.5)
    assert "Kept: 2 rows without a number left out, as no objects" in caplog.text
    assert "Kept: 1 row without a location left out, as no objects" in caplog.text
    assert len(caplog.records) == 2


def test_rows_that_hold_two_cells_are_refused(tmp_path):
    both = pd.DataFrame(
        {
            "ImageNumber": 1,
            "ObjectNumber": [1, 2, 3],
            "Nuclei_Number_Object_Number": [1, 2, 3],
            "Large_Parent_Nuclei": [1, 3, None],
            "Large_AreaShape_Area": [1.0, 3, None],
        }
    )
    path = database(tmp_path / "a.db", My_Per_Image=IMAGES[:1], My_Per_Object=both)
    with pytest.raises(
        InputError, match=r"1 row holds two cells .*image 1: Large_Parent_Nuclei is 3, Nuclei_Number.* is 2"
    ):
        aggregate(path)


def test_a_view_does_not_cost_the_tables(tmp_path):
    path = database(tmp_path / "a.db", My_Per_Image=IMAGES, My_Per_Nuclei=NUCLEI)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW My_Per_Object AS SELECT * FROM My_Per_Nuclei, missing_table")
    assert len(read_frame(open_table(path))) == 3


def test_several_experiments_in_one_database(tmp_path):
    path = database(
        tmp_path / "a.db", A_Per_Image=IMAGES, A_Per_Nuclei=NUCLEI, B_Per_Image=IMAGES, B_Per_Nuclei=NUCLEI[:1]
    )
    with pytest.raises(
        InputError, match=r"several CellProfiler exports .A_Per_Image, B_Per_Image.*such as A_Per_Nuclei"
    ):
        open_table(path)
    assert len(read_frame(open_table(path, "B_Per_Nuclei"))) == 1


def test_a_database_keeps_its_other_tables(tmp_path):
    path = database(tmp_path / "a.db", My_Per_Image=IMAGES, My_Per_Nuclei=NUCLEI)
    path = path.rename(tmp_path / "a#1?.sqlite")
    for count in (12, 6):
        write_table(wells()[:count], path, DEEP)
    with pytest.raises(
        InputError, match="holds the table profiles and a CellProfiler export: choose one with `objects`"
    ):
        open_table(path)
    assert len(read_frame(open_table(path, "profiles"))) == 6
    assert len(read_frame(open_table(path, "Nuclei"))) == 3
    (tmp_path / "text.sqlite").write_text("not a database, but longer than a header of one" * 9)
    with pytest.raises(InputError, match="is there and no SQLite file"):
        write_table(wells(), tmp_path / "text.sqlite", DEEP)
    assert (tmp_path / "text.sqlite").read_text().startswith("not a database")


# ---- AnnData ---------------------------------------------------------------------------------------------------------


def annotated(frame):
    obs = frame.drop(columns=DEEP)
    obs.index = [f"cell {number}" for number in range(len(obs))]
    data = anndata.AnnData(frame[DEEP].to_numpy(), obs=obs, var=pd.DataFrame({"kind": ["a", "b", "c"]}, index=DEEP))
    data.layers["raw"] = data.X * 2
    data.obsm["X_umap"] = np.arange(2.0 * len(obs)).reshape(-1, 2)
    data.uns["screen"] = {"name": "S1"}
    return data


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_anndata_keeps_what_it_knows(tmp_path, ending):
    frame = wells().assign(Metadata_Dose=pd.array([1, None] * 6, dtype="Int64"), Metadata_Flag=[True, False] * 6)
    frame.loc[3, "Metadata_Role"] = None
    data, path = annotated(frame), tmp_path / f"t.{ending}"
    data.write_h5ad(path) if ending == "h5ad" else data.write_zarr(path)
    sphere(path, "Metadata_Role == 'negative'", regularization=0.1, out=tmp_path / "out.h5ad")
    found = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert list(found.obs_names) == list(data.obs_names)
    assert found.var["kind"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.layers["raw"], data.layers["raw"])
    np.testing.assert_array_equal(found.obsm["X_umap"], data.obsm["X_umap"])
    assert found.uns["screen"]["name"] == "S1"
    assert found.obs["Metadata_Dose"].fillna(-1).tolist() == [1, -1] * 6
    assert found.obs["Metadata_Flag"].tolist() == [True, False] * 6
    assert found.obs["Metadata_Role"].isna().tolist() == [number == 3 for number in range(12)]


def test_anndata_of_wells_keeps_what_it_knows_of_rows_that_stay(tmp_path, caplog):
    frame = wells().assign(Metadata_Well=[f"A{number:02d}" for number in range(1, 13)], Metadata_Plate="P1")
    data, path = annotated(frame), tmp_path / "t.h5ad"
    data.varm["loadings"] = np.arange(6.0).reshape(3, 2)
    data.write_h5ad(path)
    platemap = frame[["Metadata_Plate", "Metadata_Well"]].assign(Metadata_Dose=np.arange(12.0))
    aggregate(path, platemap=platemap, features=DEEP[1:], out=tmp_path / "wells.h5ad")
    assert not caplog.messages
    found = anndata.read_h5ad(tmp_path / "wells.h5ad")
    assert list(found.obs_names) == list(data.obs_names)
    assert found.obs["Metadata_Dose"].tolist() == list(range(12))
    assert found.var["kind"].tolist() == ["b", "c"]
    np.testing.assert_array_equal(found.layers["raw"], data.layers["raw"][:, 1:])
    np.testing.assert_array_equal(found.varm["loadings"], data.varm["loadings"][1:])
    np.testing.assert_array_equal(found.obsm["X_umap"], data.obsm["X_umap"])

    other = platemap.assign(Nuclei_AreaShape_Area=np.arange(12.0))[3:9]
    other.to_parquet(tmp_path / "other.parquet")
    combine(path, tmp_path / "other.parquet", out=tmp_path / "both.h5ad")
    found = anndata.read_h5ad(tmp_path / "both.h5ad")
    assert list(found.obs_names) == list(data.obs_names[3:9])
    np.testing.assert_array_equal(found.obsm["X_umap"], data.obsm["X_umap"][3:9])
    assert "not written: layers raw, varm loadings" in caplog.text
    caplog.clear()

    aggregate(path, "treatment", ["Metadata_Role"], out=tmp_path / "roles.h5ad")
    assert "not written: obsm X_umap, layers raw, varm loadings" in caplog.text
    with pytest.raises(InputError, match="ends in"):
        aggregate(path, out=tmp_path / "wells.zarr")


def test_anndata_declares_its_features(tmp_path):
    annotated(wells().assign(concentration=1.5)).write_h5ad(tmp_path / "t.h5ad")
    assert open_table(tmp_path / "t.h5ad").features == tuple(DEEP)
    data = annotated(wells())
    data.X = scipy.sparse.csr_matrix(data.X)
    data.write_h5ad(tmp_path / "s.h5ad")
    np.testing.assert_array_equal(read_frame(open_table(tmp_path / "s.h5ad"))[DEEP], wells()[DEEP])


def test_anndata_without_x(tmp_path):
    obs = wells()[["Metadata_Well"]].assign(
        Metadata_N=pd.array([1, None] * 6, dtype="Int64"), Metadata_W=[None, "NA"] * 6
    )
    obs.index = obs.index.astype(str)
    anndata.AnnData(obs=obs).write_h5ad(tmp_path / "t.h5ad")
    source = open_table(tmp_path / "t.h5ad")
    assert source.features == ()
    write_table(read_frame(source), tmp_path / "again.h5ad", [])
    found = read_frame(open_table(tmp_path / "again.h5ad"))
    assert found["Metadata_N"].fillna(-1).tolist() == [1, -1] * 6
    assert found["Metadata_W"].fillna("-").tolist() == ["-", "NA"] * 6
    assert found["Metadata_Well"].tolist() == obs["Metadata_Well"].tolist()


def test_tens_of_thousands_of_columns(tmp_path):
    """Work that grows with the square of the columns would take minutes."""
    names = [f"Nuclei_Microsnoop_E{number:05d}_DNA" for number in range(30_000)]
    (tmp_path / "t.csv").write_text(f"Metadata_Well,{','.join(names)}\nA01{',0.5' * len(names)}\n")
    source = open_table(tmp_path / "t.csv")
    assert read_frame(source).shape == (1, 30_001)


@pytest.mark.parametrize("centers", [True, False])
def test_shapes_in_the_rows_of_other_objects_are_left_empty(tmp_path, caplog, centers):
    """Numbers 1, 3, 4 with CellProfiler's packed shapes: those of 3 and 4 stand in the rows before."""
    numbers = {"ImageNumber": [1] * 4 + [2] * 2, "ObjectNumber": [1, 2, 3, 4, 1, 2]}
    kept = pd.DataFrame(numbers).assign(
        Location_Center_X=[10, None, 10, 40, 50, 60],
        Location_Center_Y=[10, None, 30, 40, 50, 60],
        Intensity_Mean=[0.1, 0, 0.3, 0.4, 0.5, 0.6],
    )
    packed = {"AreaShape_Area": [1, 3, 4, None, 5, 6], "Texture_Variance_DNA": [1, 3, 4, None, 5, 6]}
    if centers:
        packed |= {
            f"AreaShape_Center_{axis}": kept[f"Location_Center_{axis}"][[0, 2, 3, 1, 4, 5]].tolist() for axis in "XY"
        }
    image = IMAGES[:2].rename(columns=lambda name: name.removeprefix("Image_"))
    image.assign(ImageNumber=[1, 2]).to_csv(tmp_path / "Image.csv", index=False)
    kept.assign(**packed).to_csv(tmp_path / "Kept.csv", index=False)
    source = open_table(tmp_path)
    found = read_frame(source)
    assert found["Kept_Intensity_Mean"].tolist() == [0.1, 0.3, 0.4, 0.5, 0.6]
    for name in ("Kept_AreaShape_Area", "Kept_Texture_Variance_DNA"):
        assert found[name].fillna(-1).tolist() == [1, -1, -1, 5, 6]
    assert "Kept: 1 row after a gap of the numbers" in caplog.text
    assert "Kept: 1 row without a location" in caplog.text
    caplog.clear()
    right = {name: pd.Series(values)[[0, 3, 1, 2, 4, 5]].tolist() for name, values in packed.items()}
    kept.assign(**right).to_csv(tmp_path / "Kept.csv", index=False)
    assert read_frame(open_table(tmp_path))["Kept_AreaShape_Area"].tolist() == [1, 3, 4, 5, 6]
    assert "AreaShape" not in caplog.text


@pytest.mark.parametrize("split", range(7))
def test_centers_of_early_versions_are_no_evidence_of_a_gap(split):
    """Up to CellProfiler 3, AreaShape_Center is the pixel farthest from the border: 30 pixels off in a bent cell."""
    rows = pd.DataFrame(
        {
            "ImageNumber": [1, 1, 1, 1, 2, 2, 2],
            "ObjectNumber": [1, 2, 3, 4, 1, 2, 4],
            "Location_Center_X": [10.5, 20.5, 30.5, 40.5, 50.5, 60.5, 70.5],
            "Location_Center_Y": 5.5,
            "AreaShape_Center_X": [40.0, 20.0, 60.0, 40.0, 80.0, 60.0, 90.0],
            "AreaShape_Center_Y": 5.0,
            "AreaShape_Area": [1.0, 2, 3, 4, 5, 6, 7],
        }
    )
    names = ["AreaShape_Area"]
    packed = _Packed("Location_Center_X", names, list(rows), ["ImageNumber"], "ObjectNumber")
    found = pd.concat([packed.emptied(rows[:split]), packed.emptied(rows[split:])])
    assert found["AreaShape_Area"].fillna(-1).tolist() == [1, 2, 3, 4, 5, 6, -1]
    assert packed.count == 1


@pytest.mark.parametrize("split", range(7))
def test_gaps_are_found_in_images_that_are_read_in_parts(split):
    rows = pd.DataFrame(
        {
            "ImageNumber": [1, 1, 1, 1, 2, 2, 2],
            "ObjectNumber": [1, 2, 3, 4, 1, 2, 3],
            "Location_Center_X": [10, None, 30, 40, 50, 60, 70],
            "Texture_Variance": [1.0, 3, 4, 9, 5, 6, 7],
        }
    )
    names = ["Texture_Variance"]
    packed = _Packed("Location_Center_X", names, list(rows), ["ImageNumber"], "ObjectNumber")
    found = pd.concat([packed.emptied(rows[:split]), packed.emptied(rows[split:])])
    assert found["Texture_Variance"].fillna(-1).tolist() == [1, 3, -1, -1, 5, 6, 7]
    assert packed.count == 2


def test_anndata_is_written_in_encodings_that_old_versions_read(tmp_path):
    """Version 0.10 knows no arrays of nullable strings, which newer ones write for the text of pandas 3."""
    frame = wells().assign(Metadata_Id=[f"{number:03d}" for number in range(12)], Metadata_Gap=[None, "NA"] * 6)
    texts = frame.astype({name: "string" for name in frame if name.startswith("Metadata_")})
    for number, table in enumerate((frame, texts)):
        found = set()
        with h5py.File(write_table(table, tmp_path / f"{number}.h5ad", DEEP)) as file:
            file.visititems(lambda name, item, found=found: found.add(str(item.attrs.get("encoding-type"))))
        assert found <= {"dataframe", "array", "string-array", "categorical", "dict"}
        again = read_frame(open_table(tmp_path / f"{number}.h5ad"))
        assert again["Metadata_Id"].tolist() == frame["Metadata_Id"].tolist()
        assert again["Metadata_Gap"].fillna("-").tolist() == ["-", "NA"] * 6
