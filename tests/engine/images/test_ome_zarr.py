"""Read OME-Zarr as the library ome-zarr writes it: the table is that of TIFF, and bad fields are named."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from stores import http_server, put

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.job import resolve_job
from microsnoop_engine.distributor.run import results_inside, run_job
from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.ome_zarr_image import read_image
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.storage.paths import files_in, path_kind
from microsnoop_engine.tables.parquet_files import read_table

zarr = pytest.importorskip("zarr", "3")
ome_zarr_format = pytest.importorskip("ome_zarr.format")
from ome_zarr.writer import write_image, write_labels, write_plate_metadata, write_well_metadata  # noqa: E402

FORMATS = {"0.4": ome_zarr_format.FormatV04(), "0.5": ome_zarr_format.FormatV05()}
OPTIONS = ["--mode", "cells", "--device", "cpu", "--precision", "float32", "--threads", "2", "--quiet"]
UNITS = {"y": "micrometer", "x": "micrometer"}


def write_field(group, image, labels=None, names=("DNA", "GFP"), version="0.4", axes="cyx", chunks=100):
    """An image of two levels with pixels of 0.5 and 1 micrometers, with its channels' names and label images."""
    fmt = FORMATS[version]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape = {"chunks": (*(1,) * (image.ndim - 2), chunks, chunks)}
        scale = {"y": 0.5, "x": 0.5}
        options = {"fmt": fmt, "axes": axes, "scale_factors": [2], "storage_options": shape}
        write_image(image, group, scale=scale, axes_units=UNITS, **options)
        for name, plane in (labels or {}).items():
            options |= {"axes": "yx", "storage_options": {"chunks": (chunks, chunks)}}
            write_labels(plane, group, name, **options)
    if names:
        described = {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}
        change(group, lambda found: found.update(omero=described))


def change(group, edit):
    """Edit the OME metadata of a group."""
    if "ome" in group.attrs:
        found = dict(group.attrs["ome"])
        edit(found)
        group.attrs["ome"] = found
    else:
        found = dict(group.attrs)
        edit(found)
        group.attrs.put(found)


def write_plate(path, fields, version="0.4", labels=None, **options):
    """A plate of the fields (well, c, h, w), two in a well: A/1, A/2, .. in the order of the wells backwards."""
    fmt = FORMATS[version]
    root = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    wells = [f"A/{n + 1}" for n in range((len(fields) + 1) // 2)]
    write_plate_metadata(root, ["A"], [str(n + 1) for n in range(len(wells))], wells[::-1], fmt=fmt, name="P1")
    for number, well in enumerate(wells):
        group = root.require_group(well)
        well_fields = fields[2 * number : 2 * number + 2]
        write_well_metadata(group, [f"field{n}" for n in range(len(well_fields))], fmt=fmt)
        for n, image in enumerate(well_fields):
            planes = {name: planes[2 * number + n] for name, planes in (labels or {}).items()}
            write_field(group.require_group(f"field{n}"), image, planes, version=version, **options)
    return path


@pytest.fixture(scope="module")
def fields():
    """Four fields (4, 2, 160, 200) of noisy blobs, and their label images (4, 160, 200)."""
    rng = np.random.default_rng(0)
    images = rng.integers(100, 300, (4, 2, 160, 200)).astype(np.uint16)
    labels = np.zeros((4, 160, 200), np.uint16)
    for n in range(4):
        for k, (y, x) in enumerate([(20, 30), (90, 60), (100, 140)][: 2 + n % 2]):
            labels[n, y : y + 20, x : x + 24] = k + 1
            images[n, :, y : y + 20, x : x + 24] += rng.integers(500, 4000, (2, 20, 24)).astype(np.uint16)
    return images, labels


def write_tiffs(folder, images, labels):
    """The same fields as TIFF with a LoadData CSV."""
    lines = [
        "FileName_DNA,FileName_GFP,ObjectsFileName_Nuclei,Metadata_Plate,Metadata_Well,Metadata_Site,Metadata_Field"
    ]
    folder.mkdir()
    for n, (image, plane) in enumerate(zip(images, labels, strict=True)):
        for name, array in zip(("DNA", "GFP", "Nuclei"), (*image, plane), strict=True):
            tifffile.imwrite(folder / f"{name}{n}.tif", array)
        metadata = f"P1,A{n // 2 + 1:02d},{n % 2 + 1},A/{n // 2 + 1}/field{n % 2}"
        lines.append(f"DNA{n}.tif,GFP{n}.tif,Nuclei{n}.tif,{metadata}")
    (folder / "LoadData.csv").write_text("\n".join(lines) + "\n")
    return folder / "LoadData.csv"


def test_the_table_of_a_plate_is_that_of_the_same_fields_as_tiff(tmp_path, fields, bucket, embedder):
    def measured(path, out):
        image_sets = find_image_sets(path)
        run_job(image_sets, resolve_job(image_sets, CropSettings(), ["GFP"]), embedder, out)
        return read_table(out)

    expected = measured(write_tiffs(tmp_path / "tiff", *fields), tmp_path / "out")
    assert expected.num_rows == 10
    for version in FORMATS:
        plate = write_plate(tmp_path / f"{version}.ome.zarr", fields[0], version, {"Nuclei": fields[1]})
        assert measured(plate, tmp_path / f"out{version}").equals(expected)
        assert measured(put(bucket / plate.name, plate), bucket / f"out{version}").equals(expected)


def test_real_fields(tmp_path, bbbc013):
    images, names = bbbc013
    plate = write_plate(tmp_path / "p.zarr", images, "0.5", names=names, chunks=256)
    sets = find_image_sets(plate)
    assert [list(one.channels) for one in sets] == [names] * 2
    for one, image in zip(sets, images, strict=True):
        assert np.array_equal(read_channels(one, names[::-1]), image[::-1])


@pytest.mark.parametrize("version", FORMATS)
def test_a_single_image_and_its_levels(tmp_path, fields, version, caplog):
    images, labels = fields
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=FORMATS[version].zarr_format)
    write_field(group, images[0], {"Nuclei": labels[0], "Cells": labels[1]}, version=version)
    for options, level in (({}, 0), ({"level": 1}, 1), ({"pixel_size": 0.65}, 0), ({"pixel_size": 0.9}, 1)):
        (found,) = find_image_sets(tmp_path / "a.zarr", **options)
        assert found.metadata == {"File": "a.zarr"}
        assert {source.level for source in (*found.channels.values(), *found.labels.values())} == {level}
        assert list(found.labels) == ["Nuclei", "Cells"]
        image = read_channels(found, ["DNA", "GFP"])
        assert np.array_equal(image, zarr.open_group(tmp_path / "a.zarr")[f"s{level}"][:])
        cells = read_labels(found.labels["Cells"], "Cells", image.shape[1:])
        assert set(np.unique(cells)) == set(np.unique(labels[1]))
    with pytest.raises(InputError, match="Cells' is a label image: use the image that it belongs to"):
        find_image_sets(tmp_path / "a.zarr" / "labels" / "Cells")
    assert image.shape == (2, 80, 100)
    with pytest.raises(InputError, match=r"`level` 2: '.*a\.zarr' has levels 0 to 1"):
        find_image_sets(tmp_path / "a.zarr", level=2)
    change(group, lambda found: found["multiscales"][0]["axes"][1].pop("unit"))
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    with pytest.raises(InputError, match=r"`pixel_size`: the metadata of '.*b\.zarr' hold no pixel sizes: use `level`"):
        find_image_sets(tmp_path / "b.zarr", pixel_size=1)


AXES = {"tczyx": (1, 2, 1, 160, 200), "czyx": (2, 1, 160, 200), "yx": (160, 200), "tyx": (1, 160, 200)}


@pytest.mark.parametrize("axes", AXES)
def test_axes_of_length_one(tmp_path, fields, axes):
    image = fields[0][0].reshape(-1)[: np.prod(AXES[axes])].reshape(AXES[axes])
    write_field(zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2), image, axes=axes, names=())
    (found,) = find_image_sets(tmp_path / "a.zarr")
    names = ["C1", "C2"] if "c" in axes else ["C1"]
    assert list(found.channels) == names
    assert np.array_equal(read_channels(found, names), image.reshape(-1, 160, 200))


def test_metadata_of_older_plates_and_of_acquisitions(tmp_path, fields):
    """Axes as words or not at all, wells out of order, plates without a name."""
    plate = write_plate(tmp_path / "My plate.ome.zarr", fields[0][:, :, None], axes="czyx", names=())
    root = zarr.open_group(plate)

    def of_old(found):
        found["plate"].pop("name")
        found["plate"]["acquisitions"] = [{"id": 3}, {"id": 4}]

    change(root, of_old)
    for number, well in enumerate(("A/1", "A/2")):
        change(
            root[well], lambda found, n=number: [image.update(acquisition=3 + n) for image in found["well"]["images"]]
        )
        for field in root[well].groups():
            change(field[1], lambda found: found["multiscales"][0].update(axes=["c", "z", "y", "x"]))
    sets = find_image_sets(plate)
    assert [one.metadata for one in sets] == [
        {"Plate": "My plate", "Well": f"A0{w}", "Site": s, "Field": f"A/{w}/field{s - 1}", "Acquisition": 2 + w}
        for w in (1, 2)
        for s in (1, 2)
    ]
    assert np.array_equal(read_channels(sets[3], ["C1", "C2"]), fields[0][3])


def test_results_beside_the_wells(tmp_path, fields, bucket):
    plate = write_plate(tmp_path / "p.zarr", fields[0][:2], "0.5", {"Nuclei": fields[1]})
    stored = put(bucket / "p.zarr", plate)
    for path in (plate, stored):
        assert main(["profile", str(path), *OPTIONS, "--channels", "DNA", "--inside-input"]) == 0
        assert len(read_table(path / "microsnoop")) == 5
    assert read_table(stored / "microsnoop").equals(read_table(plate / "microsnoop"))
    # the plate is still one for others
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node,) = [node for node in Reader(parse_url(str(plate)))() if node.data]
    assert node.data[0].shape[0] == 2
    assert find_image_sets(plate) == find_image_sets(plate)
    with pytest.raises(
        InputError, match="`out` is missing: only an OME-Zarr plate or image can hold results, 'a' is none"
    ):
        results_inside(Path("a"), find_image_sets(write_tiffs(tmp_path / "tiff", *fields)))


def test_another_level_is_another_run(plate, capsys):
    command = ["profile", str(plate), *OPTIONS, "--mode", "image", "--channels", "DNA", "--inside-input"]
    assert main(command) == 0
    assert main([*command, "--level", "0"]) == 0
    assert main([*command, "--level", "1"]) == 1
    assert "holds the results of other images" in capsys.readouterr().err


def test_an_image_by_http(tmp_path, fields, s3_server):
    write_field(zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2), fields[0][0])

    with http_server(tmp_path) as address:
        (found,) = find_image_sets(f"{address}/a.zarr")
        assert np.array_equal(read_channels(found, ["DNA", "GFP"]), fields[0][0])


# what is damaged or missing, and the error that names it


@pytest.fixture(scope="module")
def sound_plate(tmp_path_factory, fields):
    """A plate of NGFF 0.4 on the disk."""
    return write_plate(tmp_path_factory.mktemp("sound") / "p.zarr", fields[0], labels={"Nuclei": fields[1]})


@pytest.fixture
def plate(tmp_path, sound_plate):
    """A copy of it, to be damaged."""
    return shutil.copytree(sound_plate, tmp_path / "p.zarr")


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def stack(group):
    shutil.rmtree(group)
    image = np.zeros((2, 3, 160, 200), np.uint16)
    write_field(zarr.open_group(group, mode="w", zarr_format=2), image, axes="czyx")


def other_channels(group):
    change(zarr.open_group(group), lambda found: found["omero"]["channels"][1].update(label="RFP"))


BAD_FIELDS = {
    "missing chunk": (
        lambda f: (f / "s0/0/1/1").unlink(),
        r"1 of the chunks of channel DNA are missing, such as '0/1/1', and level s1 is not black there",
    ),
    "missing chunks": (lambda f: shutil.rmtree(f / "s0/0"), "4 of the chunks of channel DNA are missing"),
    "damaged chunk": (lambda f: cut(f / "s0/0/1/1"), r"cannot be read \(.*\): is it damaged or incomplete"),
    "missing array": (lambda f: shutil.rmtree(f / "s0"), "there is no such file"),
    "damaged array": (lambda f: (f / "s0/.zarray").write_text("{"), r"its array cannot be opened \("),
    "missing metadata": (lambda f: (f / ".zattrs").unlink(), "there are no OME-Zarr metadata"),
    "damaged metadata": (lambda f: cut(f / ".zattrs"), "is damaged: it is no OME-Zarr metadata"),
    "other metadata": (
        lambda f: (f / ".zattrs").write_text('{"multiscales": []}'),
        "no 'multiscales' that can be used",
    ),
    "no levels": (
        lambda f: (f / ".zattrs").write_text('{"multiscales": [{"datasets": []}]}'),
        "its metadata name no array",
    ),
    "stack": (stack, r"is a stack of 3 planes in depth: choose `project` \(max, mean, sum or focus\) or `plane`"),
    "other channels": (other_channels, "its channels are DNA, RFP, where channel 2 should be GFP"),
    "missing field": (shutil.rmtree, "there are no OME-Zarr metadata"),
}


@pytest.mark.parametrize("kind", BAD_FIELDS)
def test_a_bad_field_is_named_and_the_others_are_read(plate, fields, kind):
    damage, message = BAD_FIELDS[kind]
    damage(plate / "A/1/field1")
    sets = find_image_sets(plate)
    with pytest.raises(ImageError, match=message) as caught:
        read_channels(sets[1], ["DNA", "GFP"])
    assert "A/1/field1" in caught.value.path
    assert caught.value.channel == ("GFP" if kind == "other channels" else "DNA")
    for n in (0, 2, 3):
        assert np.array_equal(read_channels(sets[n], ["DNA", "GFP"]), fields[0][n])


def test_only_the_chunks_of_the_channel_are_read(plate, fields):
    shutil.rmtree(plate / "A/1/field0/s0/0")
    shutil.rmtree(plate / "A/1/field0/s1")
    assert np.array_equal(read_channels(find_image_sets(plate)[0], ["GFP"])[0], fields[0][0, 1])


def test_chunks_that_a_label_image_lacks_are_background(plate, fields):
    chunks = [path for path in files_in(plate / "A/1/field0/labels/Nuclei/s0") if path.name.isdigit()]
    assert 0 < len(chunks) < 4
    assert np.array_equal(read_labels(find_image_sets(plate)[0].labels["Nuclei"], "", (160, 200)), fields[1][0])


def test_bad_label_images(plate):
    source = find_image_sets(plate)[1].labels["Nuclei"]
    with pytest.raises(ImageError, match="labels are 200 x 160, but the image is 100 x 80 pixels"):
        read_labels(source, "Nuclei", (80, 100))
    with pytest.raises(ImageError, match="has levels 0 to 1: there is no level 5"):
        read_labels(PlaneSource(source.path, level=5), "Nuclei", (40, 50))
    shutil.rmtree(source.path)
    read_image.cache_clear()
    with pytest.raises(ImageError, match="there are no OME-Zarr metadata") as caught:
        read_labels(source, "Nuclei", (160, 200))
    assert (caught.value.path, caught.value.channel) == (str(source.path), "Nuclei")


@pytest.mark.parametrize("first", ["missing", "damaged", "of another kind"])
def test_a_bad_well_is_named_and_the_others_are_measured(plate, tmp_path, first):
    """Also where it is the first one, of which the channels would be read."""
    file = plate / "A/1/.zattrs"
    if first == "missing":
        file.unlink()
    else:
        file.write_text("[" if first == "damaged" else "{}")
    options = [*OPTIONS, "--mode", "image", "--channels", "DNA", "--out", str(tmp_path / "out")]
    assert main(["profile", str(plate), *options]) == 1
    found = pd.read_csv(tmp_path / "out" / "images.csv")
    assert found["Status"].tolist() == ["failed", "done", "done"]
    assert found["Metadata_Field"].tolist() == ["A/1", "A/2/field0", "A/2/field1"]
    assert str(plate / "A/1") in found["File"][0]
    assert "metadata" in found["Error"][0]


def test_bad_plates(plate, tmp_path):
    def refused(edit, message):
        found = json.loads((plate / ".zattrs").read_text())
        edit(found)
        other = tmp_path / "other.zarr"
        shutil.copytree(plate, other, dirs_exist_ok=True)
        (other / ".zattrs").write_text(json.dumps(found))
        with pytest.raises(InputError, match=message):
            find_image_sets(other)

    refused(
        lambda found: found["plate"].pop("wells"), r"other\.zarr': its plate metadata are damaged \(KeyError\('wells'\)"
    )
    refused(lambda found: found["plate"].update(wells=[]), "the plate has no wells")
    refused(lambda found: found["plate"].update(rows=[]), "its plate metadata are damaged")
    refused(lambda found: found.pop("plate"), "is no OME-Zarr plate and no OME-Zarr image")
    refused(lambda found: found.update({"plate": None}), "its plate metadata are damaged")
    with pytest.raises(InputError, match=r"A/1' is a well: use its plate, or one of its images"):
        find_image_sets(plate / "A" / "1")
    (plate / "A/1/.zattrs").write_text('{"bioformats2raw.layout": 3}')
    with pytest.raises(
        InputError, match=r"A/1' is a collection of bioformats2raw without images: use an image, '.*A/1/0'"
    ):
        find_image_sets(plate / "A" / "1")
    with pytest.raises(InputError, match=r"none\.zarr': there are no OME-Zarr metadata .*: check the path"):
        find_image_sets(tmp_path / "none.zarr")
    for field in ("A/1/field0", "A/1/field1", "A/2/field0", "A/2/field1"):
        shutil.rmtree(plate / field)
    (plate / "A/1/.zattrs").unlink()
    with pytest.raises(InputError, match=r"p\.zarr/A/1': there are no OME-Zarr metadata"):
        find_image_sets(plate)
    assert path_kind(plate) == "folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "{Channel}"}, "`pattern` goes with image files"),
        ({"labels": "labels"}, "`labels` goes with image files: OME-Zarr has its own channels and labels"),
    ],
)
def test_options_that_do_not_go_with_a_plate(plate, options, message):
    with pytest.raises(InputError, match=message):
        find_image_sets(plate, **options)


@pytest.mark.parametrize(("name", "value"), [("level", 0)])
def test_options_that_go_with_a_plate_only(tmp_path, name, value):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=f"`{name}` goes with an OME-Zarr plate or image"):
        find_image_sets(tmp_path / "a.tif", **{name: value})
