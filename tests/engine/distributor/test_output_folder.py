"""Nothing that a run reads, or that is of somebody else, is replaced by its results."""

import os

import pytest
import tifffile
from screens import write_screen
from several_workers import table_of

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.run import profile
from microsnoop_engine.errors import InputError

IMAGE = CropSettings(mode="image")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["images.csv", "skipped.csv", "image_sets.json", "profiles.csv"])
@pytest.mark.parametrize("link", [None, "symlink", "hard link", "folder"])
def test_an_input_inside_the_results_folder_stays(tmp_path, embedder, name, link):
    plate = tmp_path / "plate"
    path = write_screen(plate, 2).rename(plate / ("images.csv" if name == "image_sets.json" else name))
    out = plate
    if link == "symlink":
        (tmp_path / "linked.csv").symlink_to(path)
        path = tmp_path / "linked.csv"
    elif link == "hard link":
        path = plate / "linked.csv"
        os.link(plate / ("images.csv" if name == "image_sets.json" else name), path)
    elif link == "folder":
        (tmp_path / "out").symlink_to(plate)
        out = tmp_path / "out"
    before = contents(tmp_path)
    for shard in (None, "1/2"):
        with pytest.raises(InputError, match=r"`out`: the run reads '.*', which it would replace by its own '.*csv'"):
            profile(path, out, IMAGE, embedder=embedder, csv=True, shard=shard)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["labels", "rois", "illumination"])
def test_other_files_that_are_read_stay(tmp_path, embedder, kind):
    """Also in the folder of a run, whose own files may be replaced."""
    write_screen(tmp_path, 2)
    image, out = tmp_path / "DNA0.tif", tmp_path / "out"
    profile(image, out, IMAGE, embedder=embedder)
    place = out / "profiles.parquet" / "mine"
    place.mkdir()
    tifffile.imwrite(place / "DNA0.tif", tifffile.imread(tmp_path / "labels.tif"))
    (place / "a.csv").write_text("index,shape-type,vertex-index,axis-0,axis-1\n")
    value = place / "a.csv" if kind == "rois" else place
    settings = IMAGE if kind == "illumination" else CropSettings()
    if kind == "illumination":
        tifffile.imwrite(place / "IllumImage.tif", tifffile.imread(image).astype("float32") + 1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="`out`: the run reads"):
        profile(image, out, settings, embedder=embedder, **{kind: value})
    assert contents(tmp_path) == before


def test_images_among_the_saved_labels_stay(tmp_path, embedder):
    path = write_screen(tmp_path / "labels", 2)
    with pytest.raises(InputError, match=r"`out`: the run reads '.*LoadData\.csv', which it would replace by its own"):
        profile(path, tmp_path, segment="nuclei", segment_channel="DNA", embedder=embedder, save_labels=True)


def test_files_of_somebody_else_stay(tmp_path, embedder):
    path = write_screen(tmp_path, 2)
    (tmp_path / "images.csv").write_text("my own list")
    with pytest.raises(
        InputError, match=r"`out`: '.*images\.csv' exists, but '.*' holds no run: choose another folder"
    ):
        profile(path, tmp_path, IMAGE, embedder=embedder)
    assert (tmp_path / "images.csv").read_text() == "my own list"
    (tmp_path / "images.csv").unlink()
    profile(path, tmp_path, IMAGE, embedder=embedder)
    profile(path, tmp_path, IMAGE, embedder=embedder)
    assert len(table_of(tmp_path)) == 2


def test_inputs_writes_over_nothing_that_it_reads(tmp_path, capsys):
    path = write_screen(tmp_path, 2)
    before = contents(tmp_path)
    for target in (path, tmp_path / "DNA0.tif"):
        assert main(["inputs", str(path), "--write", str(target)]) == 1
        assert f"--write '{target}' is the input" in capsys.readouterr().err
    assert contents(tmp_path) == before
