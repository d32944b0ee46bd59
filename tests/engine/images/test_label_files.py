"""Match label images to image sets by their names."""

from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from image_files import LABELS, PLANE, SMALL_PLANES, touch, write
from PIL import Image
from scipy import ndimage

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.selection import PlaneSelection


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


@pytest.mark.parametrize(
    "name",
    [
        "A01_segmentation.tif",
        "A01-labels.tif",
        "A01.labels.tif",
        "A01_Object Identities.tif",
        "A01.tif.tif",
        "a01_MASK.TIF",
        "A01Nuclei.tiff",
    ],
)
def test_names_that_programs_give_to_labels(tmp_path, name):
    touch(tmp_path, "images/A01.tif", f"labels/{name}")
    (image_set,) = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    assert image_set.labels["Nuclei"].path == tmp_path / "labels" / name


def test_capitals_tell_files_apart_where_they_have_to(tmp_path):
    touch(tmp_path, *[f"{folder}/{name}.tif" for folder in ("images", "labels") for name in ("A01", "a01")])
    for image_set in find_image_sets(tmp_path / "images", labels=tmp_path / "labels"):
        assert image_set.labels["Nuclei"].path.name == image_set.metadata["File"]


def test_labels_in_two_formats(tmp_path, caplog):
    caplog.set_level("INFO")
    touch(tmp_path, "images/A01.tif", "labels/A01_cp_masks.tif")
    imageio.imwrite(tmp_path / "labels/A01_cp_masks.png", SMALL_PLANES[0])
    (image_set,) = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    assert image_set.labels["Nuclei"].path.name == "A01_cp_masks.tif"
    assert "A01_cp_masks.tif' is taken, not 'A01_cp_masks.png'" in caplog.text


def test_labels_of_other_names(tmp_path, caplog):
    touch(tmp_path, "images/A01.tif", "images/A02.tif", "labels/labels_A01.tif")
    with pytest.raises(InputError, match=r"no image set has a label image in .* such as 'A01.tif'.*'labels_A01.tif'"):
        find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    touch(tmp_path, "labels/A02.tif")
    find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    assert "1 of 2 image sets have no label image" in caplog.text


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


def test_a_label_file_of_a_single_image(tmp_path):
    write(tmp_path / "a.tif", PLANE)
    labels = write(tmp_path / "nuclei of a.png", LABELS.astype(np.uint8))
    for source in (tmp_path / "a.tif", tmp_path):
        (image_set,) = find_image_sets(source, labels=labels)
        assert np.array_equal(read_labels(image_set.labels["Nuclei"], "Nuclei", PLANE.shape), LABELS)
    write(tmp_path / "b.tif", PLANE)
    for path, message in (
        (labels, "is one file, but there are 2 image sets: use a folder with a label image for each"),
        (tmp_path / "none.png", "there is no file or folder"),
        (tmp_path / "notes.txt", r"notes\.txt' is no label image"),
    ):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(InputError, match=message):
            find_image_sets(tmp_path, labels=path)
    with pytest.raises(InputError, match="is the image itself"):
        find_image_sets(tmp_path / "a.tif", labels=tmp_path / "a.tif")


PLACE = {"Z": "plane", "T": "time"}
GRAY = {"photometric": "minisblack"}


@pytest.mark.parametrize("labeled", [True, False])
@pytest.mark.parametrize("axis", ["Z", "T"])
def test_a_label_file_of_a_stack(tmp_path, axis, labeled):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([PLANE] * 3), metadata={"axes": f"{axis}YX"})
    stack = np.stack([LABELS, np.where(LABELS == 3, 0, LABELS), LABELS * 0])
    name = tmp_path / ("l.ome.tif" if labeled else "l.tif")
    tifffile.imwrite(name, stack, **({"metadata": {"axes": f"{axis}YX"}} if labeled else {"metadata": None, **GRAY}))
    tifffile.imwrite(tmp_path / "one.tif", LABELS)
    tifffile.imwrite(tmp_path / "two.tif", stack[:2], metadata=None, **GRAY)
    selection = PlaneSelection(plane="all") if axis == "Z" else PlaneSelection(time="all")
    sets = find_image_sets(tmp_path / "a.ome.tif", labels=name, selection=selection)
    for image_set, plane in zip(sets, stack, strict=True):
        assert np.array_equal(read_labels(image_set.labels["Nuclei"], "Nuclei", PLANE.shape), plane)
    (chosen,) = find_image_sets(tmp_path / "a.ome.tif", labels=name, selection=PlaneSelection(**{PLACE[axis]: 1}))
    assert np.array_equal(read_labels(chosen.labels["Nuclei"], "Nuclei", PLANE.shape), stack[1])
    sets = find_image_sets(tmp_path / "a.ome.tif", labels=tmp_path / "one.tif", selection=selection)
    assert {each.labels["Nuclei"] for each in sets} == {PlaneSource(tmp_path / "one.tif")}
    with pytest.raises(InputError, match="has 2 planes in depth and 1 time point, but the image has"):
        find_image_sets(tmp_path / "a.ome.tif", labels=tmp_path / "two.tif", selection=selection)


def test_a_label_file_is_not_for_several_images_of_one_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([PLANE] * 3), metadata=None, **GRAY)
    write(tmp_path / "l.tif", LABELS)
    with pytest.raises(InputError, match="there are 3 image sets"):
        find_image_sets(tmp_path / "a.tif", labels=tmp_path / "l.tif", selection=PlaneSelection(pages="images"))


def picture(path, numbers, palette):
    """Write numbers with a palette, as programs do that show labels in colors."""
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    image.save(path)
    return PlaneSource(path)


def voc_palette():
    """The colors of PASCAL VOC: the bits of a number in turn for red, green and blue."""
    return [
        [sum((n >> (3 * bit + color) & 1) << (7 - bit) for bit in range(3)) for color in range(3)] for n in range(256)
    ]


GLASBEY = [[255, 255, 255], *np.random.default_rng(5).integers(0, 255, (255, 3)).tolist()]


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.parametrize("palette", [voc_palette(), GLASBEY])
def test_the_numbers_of_a_palette_are_labels(tmp_path, suffix, palette):
    source = picture(tmp_path / f"a{suffix}", LABELS, palette)
    assert Image.open(source.path).mode == "P"
    assert np.array_equal(read_labels(source, "Nuclei", PLANE.shape), LABELS)


def test_pictures_with_a_palette_that_are_no_labels(tmp_path):
    colors = np.random.default_rng(3).integers(60, 255, (9, 3))
    colors[0] = 0
    overlay = Image.fromarray(colors[LABELS].astype(np.uint8))
    overlay.quantize(9).save(tmp_path / "quantized.png")
    assert Image.open(tmp_path / "quantized.png").mode == "P"
    shared = np.where(LABELS == 6, 1, LABELS)
    bordered = np.where(ndimage.binary_dilation(LABELS > 0) & (LABELS == 0), 255, LABELS)
    swapped = np.choose(np.minimum(LABELS, 1), [1, 0])
    for source, message in {
        PlaneSource(tmp_path / "quantized.png"): "number 0 is the color .* which is not its background: save",
        picture(tmp_path / "shared.png", shared, voc_palette()): "objects that lie apart share a color .such as 1",
        picture(tmp_path / "void.png", bordered, voc_palette()): "marks borders by the number 255, as PASCAL VOC does",
        picture(tmp_path / "swapped.png", swapped, [[255] * 3, [0] * 3]): "its number 0 is white, which is not its",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_labels(source, "Nuclei", PLANE.shape)
    overlay.save(tmp_path / "rgb.png")
    # writers of GIF renumber the palette
    picture(tmp_path / "a.gif", LABELS, voc_palette())
    for name in ("rgb.png", "a.gif"):
        with pytest.raises(ImageError, match="is a color picture: colors are no numbers of objects"):
            read_labels(PlaneSource(tmp_path / name), "Nuclei", PLANE.shape)


def test_classes_of_ilastik_are_found_and_refused_unless_their_objects_are_to_be_numbered(tmp_path):
    touch(tmp_path, "images/A01.tif", "images/A02.tif")
    (tmp_path / "labels").mkdir()
    for name in ("A01_Simple Segmentation", "A02_Simple Segmentation", "A02_Object Identities"):
        write(tmp_path / f"labels/{name}.tif", ((LABELS > 0) + 1).astype(np.uint8))
    classes, objects = (s.labels["Nuclei"] for s in find_image_sets(tmp_path / "images", labels=tmp_path / "labels"))
    assert classes.path.stem == "A01_Simple Segmentation"
    assert objects.path.stem == "A02_Object Identities"
    with pytest.raises(ImageError, match=r"black-and-white mask.*\(no pixel is 0, and 1 surrounds.*label_mask"):
        read_labels(classes, "Nuclei", LABELS.shape)
    numbered = read_labels(replace(classes, is_mask=True), "Nuclei", LABELS.shape)
    assert np.array_equal(numbered > 0, LABELS > 0)
