"""Read instruments whose file names say all: IN Cell, IncuCyte, scan^R, MATRIX screener and BD Pathway."""

import pytest
from instruments import write_images

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_inputs
from microsnoop_engine.images.reading_options import ReadingOptions


def test_in_cell(tmp_path):
    names = [
        f"{well}(fld {field} wv {wave}).tif"
        for well in ("A - 01", "AB - 3")
        for field in (1, 2)
        for wave in ("UV - DAPI", "Blue - FITC")
    ]
    write_images(tmp_path / "plate5_1", *names)
    (tmp_path / "plate5_1/plate5.xdce").write_text(
        '<ImageStack><ObjectiveCalibration pixel_width="0.65"/></ImageStack>'
    )
    inputs = find_inputs(tmp_path)
    assert inputs.layout == "incell"
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "plate5_1", "Well": well, "Site": site, "PixelSize": 0.65}
        for well in ("A01", "AB03")
        for site in (1, 2)
    ]
    assert [list(s.channels) for s in inputs.image_sets] == [["Blue - FITC", "UV - DAPI"]] * 4


def test_copies_of_in_cell_are_no_channels(tmp_path):
    names = [
        f"A - {column:02d}(fld 1 wv {wave}).tif" for column in range(1, 7) for wave in ("UV (405) - DAPI", "TL - BF")
    ]
    write_images(tmp_path, *names, names[0].replace(".tif", " (2).tif"))
    inputs = find_inputs(tmp_path)
    assert {name for s in inputs.image_sets for name in s.channels} == {"UV (405) - DAPI", "TL - BF"}
    assert [each.path.name for each in inputs.left_out] == ["A - 01(fld 1 wv UV (405) - DAPI) (2).tif"]


def test_in_cell_with_planes_and_times(tmp_path):
    names = [
        f"C - 6(fld 1 wv TL - Bright field - open z {z:02d} time {t} - {t * 2636}ms).tif"
        for z in (1, 2)
        for t in (1, 2)
    ]
    sets = find_inputs(write_images(tmp_path, *names)).image_sets
    assert [(s.metadata["Plane"], s.metadata["Time"]) for s in sets] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert list(sets[0].channels) == ["TL - Bright field - open"]
    (one, *_) = find_inputs(
        write_images(tmp_path / "one", "A - 13(fld 2).tif"), ReadingOptions(channel_name="DAPI")
    ).image_sets
    assert (one.metadata["Well"], list(one.channels)) == ("A13", ["DAPI"])


def test_incucyte(tmp_path):
    names = [f"VID7_B{c}_1_2023y05m16d_{h}h24m.tif" for c in (2, 10) for h in ("09", "11")]
    inputs = find_inputs(write_images(tmp_path / "a", *names), ReadingOptions(channel_name="Phase"))
    assert inputs.layout == "incucyte"
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "VID7", "Well": well, "Site": 1, "Time": f"2023y05m16d_{hour}h24m"}
        for well in ("B02", "B10")
        for hour in ("09", "11")
    ]
    assert [list(s.channels) for s in inputs.image_sets] == [["Phase"]] * 4
    write_images(tmp_path / "a", *[f"green/{name}" for name in names])
    with pytest.raises(InputError, match="names of IncuCyte have no channel"):
        find_inputs(tmp_path / "a")


def test_incucyte_archive(tmp_path):
    scans = [
        f"EssenFiles/ScanData/2305/16/{minute}/1248/A1-1-{c}.tif" for minute in ("0924", "1124") for c in ("C1", "Ph")
    ]
    sets = find_inputs(write_images(tmp_path, *scans)).image_sets
    assert [s.metadata for s in sets] == [
        {"Plate": 1248, "Well": "A01", "Site": 1, "Time": f"2023y05m16d_{hour}h24m"} for hour in ("09", "11")
    ]
    assert [list(s.channels) for s in sets] == [["C1", "Ph"]] * 2


def test_scan_r(tmp_path):
    names = [f"data/B12--W00024--P{p:05d}--Z00000--T00000--{c}.tif" for p in (1, 2) for c in ("DAPI", "Alexa 488")]
    write_images(
        tmp_path / "run_3",
        *names,
        "data/--W00025--P00001--Z00000--T00000--DAPI.tif",
        "data/--W00025--P00001--Z00000--T00000--Alexa 488.tif",
    )
    inputs = find_inputs(tmp_path / "run_3")
    assert inputs.layout == "scanr"
    assert [tuple(s.metadata.values()) for s in inputs.image_sets] == [
        ("run_3", "B12", 1),
        ("run_3", "B12", 2),
        ("run_3", "W00025", 1),
    ]
    assert list(inputs.image_sets[0].channels) == ["Alexa 488", "DAPI"]


def test_matrix_screener(tmp_path):
    """U is the column, V the row, both from 0."""
    names = [
        f"slide--S00/chamber--U{u:02d}--V{v:02d}/field--X{x:02d}--Y00/image--L0000--S00--U{u:02d}--V{v:02d}--J08--E00--O00"
        f"--X{x:02d}--Y00--T0000--Z00--C{c:02d}.ome.tif"
        for u, v in ((0, 0), (11, 7))
        for x in (0, 1)
        for c in (0, 1)
    ]
    inputs = find_inputs(write_images(tmp_path / "experiment--2013_07_30", *names))
    assert inputs.layout == "matrix"
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "experiment--2013_07_30", "Well": well, "Site": site}
        for well in ("A01", "H12")
        for site in ("X00Y00", "X01Y00")
    ]
    assert [list(s.channels) for s in inputs.image_sets] == [["C00", "C01"]] * 4


def test_layouts_that_do_not_fit(tmp_path):
    write_images(tmp_path, "a.tif", "b.tif")
    with pytest.raises(InputError, match=r"no file of .* has a name of the `layout` 'phenix'"):
        find_inputs(tmp_path, ReadingOptions(layout="phenix"))
    with pytest.raises(InputError, match="`layout` is 'operetta'; choose one of auto, files, phenix"):
        find_inputs(tmp_path, ReadingOptions(layout="operetta"))
    with pytest.raises(InputError, match="`layout` and `pattern` exclude each other"):
        find_inputs(tmp_path, ReadingOptions("{Channel}.tif", layout="phenix"))
    with pytest.raises(InputError, match="`channel_name` goes with"):
        find_inputs(tmp_path, ReadingOptions(channel_name="DNA"))
    with pytest.raises(InputError, match="`layout` goes with a folder of image files"):
        find_inputs(tmp_path / "a.tif", ReadingOptions(layout="phenix"))


def test_two_instruments_in_a_folder(tmp_path):
    write_images(tmp_path, "a.tif")
    (tmp_path / "P.HTD").write_text('"WaveName1", "DAPI"\n')
    (tmp_path / "M.mlf").write_text("<a/>")
    with pytest.raises(InputError, match=r"index files of several instruments: .*choose `layout` 'imagexpress' or"):
        find_inputs(tmp_path)


def test_other_images_beside_a_plate(tmp_path):
    names = [f"A{c:02d}--W{c:05d}--P00001--Z00000--T00000--DAPI.tif" for c in range(1, 10)]
    write_images(tmp_path, *names, "overview.png.tif")
    inputs = find_inputs(tmp_path)
    assert [(each.path.name, each.unexpected) for each in inputs.left_out] == [("overview.png.tif", True)]
    write_images(tmp_path, "b.tif", "c.tif")
    with pytest.raises(InputError, match=r"3 of 12 images in .* do not fit the layout 'scanr': 'b.tif', 'c.tif'"):
        find_inputs(tmp_path)
    assert len(find_inputs(tmp_path, ReadingOptions(allow_unmatched=True)).image_sets) == 9
    assert len(find_inputs(tmp_path, ReadingOptions(layout="files")).image_sets) == 12


def write_pathway(
    folder, numbers=1, wells=("A01", "D11"), experiment="[General]\nDyes=2\n[Image]\nMontaged=0\n", xyz=None
):
    names = [
        f"Well {well}/{dye} - n{n:06d}.tif"
        for well in wells
        for dye in ("Hoechst", "DsRed - Confocal")
        for n in range(numbers)
    ]
    write_images(folder, *names)
    (folder / "Experiment.exp").write_text(experiment)
    if xyz:
        (folder / "a.xyz").write_text(f"[Z1Axis]\nZ1AxisEnabled=1\nZ1AxisMode={xyz[0]}\nZ1AxisValue={xyz[1]}\n")
    return folder


def test_pathway(tmp_path, caplog):
    write_pathway(tmp_path / "2009-05-01_000")
    for path in (tmp_path / "2009-05-01_000", tmp_path / "2009-05-01_000/Experiment.exp", tmp_path):
        inputs = find_inputs(path)
        assert inputs.layout == "pathway"
        assert [s.metadata for s in inputs.image_sets] == [
            {"Plate": "2009-05-01_000", "Well": well, "Site": 1} for well in ("A01", "D11")
        ]
        assert [list(s.channels) for s in inputs.image_sets] == [["DsRed - Confocal", "Hoechst"]] * 2
    assert "montage" not in caplog.text


@pytest.mark.parametrize(("xyz", "name"), [(None, "Time"), (("0", "4"), "Time"), (("1", "2"), "Plane")])
def test_pathway_with_times_or_depths(tmp_path, xyz, name):
    sets = find_inputs(write_pathway(tmp_path / "p", 3, xyz=xyz)).image_sets
    assert [(s.metadata["Well"], s.metadata[name]) for s in sets] == [(w, n) for w in ("A01", "D11") for n in range(3)]
    assert {"Time", "Plane"} & set(sets[0].metadata) == {name}


def test_pathway_with_times_and_depths_is_refused(tmp_path):
    with pytest.raises(InputError, match="count 6 images of 3 depths and some times in one number: use `pattern`"):
        find_inputs(write_pathway(tmp_path / "p", 6, xyz=("1", "2")))
    with pytest.raises(InputError, match=r"a\.xyz' is damaged: no number in Z1AxisValue"):
        find_inputs(write_pathway(tmp_path / "q", 6, xyz=("1", "two")))


def test_pathway_montage_is_reported(tmp_path, caplog):
    find_inputs(write_pathway(tmp_path / "p", experiment="[Image]\nMontaged=1\nTilesX=2\nTilesY=3\n"))
    assert "every image is a montage of 2 x 3 fields, measured as one" in caplog.text
    with pytest.raises(InputError, match=r"Experiment\.exp' is damaged"):
        find_inputs(write_pathway(tmp_path / "q", experiment="no section\n"))


def test_flex_is_refused_by_name(tmp_path, caplog):
    write_images(tmp_path, "001001000.flex")
    for path in (tmp_path, tmp_path / "001001000.flex"):
        with pytest.raises(
            InputError, match=r"a \.flex file of PerkinElmer Opera, which is not read: convert it to OME-T"
        ):
            find_inputs(path)
    write_images(tmp_path, "a.tif", "b.tif", "c.tif", "d.tif", "e.tif")
    assert [each.unexpected for each in find_inputs(tmp_path).left_out] == [True]
    assert "which is not read: convert it" in caplog.text
