"""Match label images to image sets by their names."""

import imageio.v3 as imageio
import pytest
from image_files import SMALL_PLANES, touch

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels


@pytest.mark.parametrize(
    "name", ["A01.tif", "A01_mask.png", "A01_DNA_cp_masks.tif", "sub/A01_Nuclei.tif", "A01_Lobes.tif"]
)
def test_labels_by_the_names_of_the_images(tmp_path, name):
    touch(tmp_path, "images/A01_DNA.tif", "images/A01_GFP.tif")
    (tmp_path / "labels" / name).parent.mkdir(parents=True)
    imageio.imwrite(tmp_path / "labels" / name, SMALL_PLANES[0])
    (image_set,) = find_image_sets(tmp_path / "images", "{Well}_{Channel}.tif", tmp_path / "labels", "Lobes")
    assert image_set.labels == {"Lobes": PlaneSource(tmp_path / "labels" / name)}
    assert image_set.metadata == {"Well": "A01"}


def test_labels_of_wells_with_the_same_name_on_several_plates(tmp_path):
    touch(tmp_path, *[f"{kind}/P{p}/A01_{kind}.tif" for kind in ("DNA", "Nuclei") for p in (1, 2)])
    sets = find_image_sets(tmp_path / "DNA", "{Plate}/{Well}_{Channel}.tif", tmp_path / "Nuclei")
    assert [s.labels["Nuclei"].path.parent.name for s in sets] == ["P1", "P2"]


def test_labels_beside_the_images(tmp_path):
    """An image is never its own label image."""
    touch(tmp_path, "A01_DNA.tif", "A01_DNA_mask.tif")
    (image_set,) = find_image_sets(tmp_path / "A01_DNA.tif", labels=tmp_path)
    assert image_set.labels["Nuclei"].path.name == "A01_DNA_mask.tif"


def test_missing_label_image_is_reported_when_it_is_read(tmp_path):
    touch(tmp_path, "images/A01.tif", "images/A02.tif", "labels/A02.tif")
    sets = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    with pytest.raises(ImageError, match="there is no such file") as caught:
        read_labels(sets[0].labels["Nuclei"], "Nuclei", (20, 30))
    assert caught.value.path == str(tmp_path / "labels/A01.tif")
    assert sets[1].labels["Nuclei"].path.is_file()


@pytest.mark.parametrize(
    "name", ["A01.tif", "A01_labels.tif", "A01.ome_cp_masks.tif", "A01.ome.tif", "A01_mask.OME.tif"]
)
def test_ome_belongs_to_the_suffix(tmp_path, name):
    touch(tmp_path, "images/A01.ome.tif", f"labels/{name}")
    (image_set,) = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    assert image_set.labels["Nuclei"].path == tmp_path / "labels" / name


def test_objects_choose_among_label_images(tmp_path):
    touch(tmp_path, "images/A01.tif", "labels/A01_Nuclei.tif", "labels/A01_Cells.tif", "labels/golgi/A01.tif")
    for objects, name in (("Nuclei", "A01_Nuclei.tif"), ("Cells", "A01_Cells.tif"), ("Golgi", "golgi/A01.tif")):
        (image_set,) = find_image_sets(tmp_path / "images", labels=tmp_path / "labels", objects=objects)
        assert image_set.labels == {objects: PlaneSource(tmp_path / "labels" / name)}
    with pytest.raises(InputError, match=r"more than one label image: .*\nChoose by `objects`"):
        find_image_sets(tmp_path / "images", labels=tmp_path / "labels", objects="Speckles")


def test_labels_in_the_other_form_of_unicode(tmp_path):
    touch(tmp_path, "images/Zellk\u00f6rper.tif", "labels/Zellko\u0308rper_mask.tif")
    (image_set,) = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    assert image_set.labels["Nuclei"].path.is_file()
