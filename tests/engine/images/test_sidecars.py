"""Find what segmenters left beside images."""

import operator

import numpy as np
import pytest
import roifile
import tifffile
from image_files import LABELS, PLANE, write

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets, find_inputs
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.reading_options import ReadingOptions
from microsnoop_engine.images.selection import PlaneSelection


def seg(path, **more):
    """Save labels as Cellpose does."""
    content = {"masks": LABELS, "outlines": LABELS * 0, "filename": "A01.tif", "flows": [np.zeros((2, 3))], **more}
    np.save(path, content, allow_pickle=True)
    return path


def write_rois(path):
    square = np.array([[2, 3], [9, 3], [9, 9], [2, 9]])
    roifile.roiwrite(path, [roifile.ImagejRoi.frompoints(square + 12 * n, name=str(n)) for n in range(3)], mode="w")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "A01_cp_masks.png",
        "A01_cp_masks.tif",
        "A01_seg.npy",
        "A01_masks.tif",
        "A01_labels.png",
        "A01_rois.zip",
        "A01_Object Identities.tif",
    ],
)
@pytest.mark.parametrize("image", ["A01.tif", "A01.ome.tif"])
def test_labels_beside_an_image_are_its_own(tmp_path, caplog, name, image):
    write(tmp_path / image, PLANE)
    {".npy": seg, ".zip": write_rois}.get(name[-4:], lambda path: write(path, LABELS.astype(np.uint16)))(
        tmp_path / name
    )
    for source in (tmp_path, tmp_path / image):
        (image_set,) = find_image_sets(source)
        assert image_set.labels == {"Nuclei": PlaneSource(tmp_path / name)}
        assert image_set.channels.keys() == {"Image"}
        assert read_labels(image_set.labels["Nuclei"], "Nuclei", PLANE.shape).any()


def test_products_of_a_segmenter_are_no_images(tmp_path, caplog):
    caplog.set_level("INFO")
    write(tmp_path / "A01.tif", PLANE)
    for ending in ("cp_masks.tif", "flows_cp_masks.tif", "outlines_cp_masks.png", "cp_output.png", "flows.tif"):
        write(tmp_path / f"A01_{ending}", LABELS.astype(np.uint8))
    inputs = find_inputs(tmp_path)
    assert [image_set.metadata["File"] for image_set in inputs.image_sets] == ["A01.tif"]
    assert {each.path.name: each.reason for each in inputs.left_out} == {
        "A01_cp_masks.tif": "the labels of an image",
        **dict.fromkeys(
            ("A01_flows_cp_masks.tif", "A01_outlines_cp_masks.png", "A01_cp_output.png", "A01_flows.tif"),
            "made of an image by a segmentation",
        ),
    }
    assert "left out 4 files: made of an image by a segmentation" in caplog.text


def test_products_do_not_count_as_images_that_the_pattern_misses(tmp_path):
    for name in ("A01_s1_DNA", "A01_s1_DNA_cp_masks", "A01_s1_DNA_flows", "A01_s1_DNA_outlines"):
        write(tmp_path / f"{name}.tif", PLANE)
    inputs = find_inputs(tmp_path, ReadingOptions("{Well}_s{Site}_{Channel}.tif"))
    assert [list(image_set.channels) for image_set in inputs.image_sets] == [["DNA"]]
    assert not any(each.unexpected for each in inputs.left_out)
    assert len(inputs.left_out) == 3


def test_a_folder_of_products_alone(tmp_path):
    write(tmp_path / "A01_cp_masks.tif", LABELS)
    with pytest.raises(InputError, match=r"holds no images, but what a segmentation made of them: 'A01_cp_masks\.tif'"):
        find_image_sets(tmp_path)


def test_masks_are_no_channel(tmp_path):
    for name in ("A01_DNA", "A01_ER", "A01_cp_masks", "A01_mask", "A02_DNA", "A02_ER"):
        write(tmp_path / f"{name}.tif", PLANE)
    sets = find_image_sets(tmp_path, "{Well}_{Channel}.tif")
    assert [list(image_set.channels) for image_set in sets] == [["DNA", "ER"]] * 2


def test_images_that_end_like_a_product_stay(tmp_path):
    """Without an image to which they belong."""
    for name in ("A01_mask.tif", "A02_labels.tif", "A03_flows.tif"):
        write(tmp_path / name, PLANE)
    assert len(find_image_sets(tmp_path)) == 3


def test_labels_of_some_images_are_named_and_not_used(tmp_path, caplog):
    write(tmp_path / "A01.tif", PLANE)
    write(tmp_path / "A02.tif", PLANE)
    seg(tmp_path / "A02_seg.npy")
    assert all(not image_set.labels for image_set in find_image_sets(tmp_path))
    assert "1 of 2 image sets have labels beside them" in caplog.text


def test_labels_of_cellpose_in_a_folder(tmp_path):
    (tmp_path / "labels").mkdir()
    image = write(tmp_path / "A01.tif", PLANE)
    path = seg(tmp_path / "labels/A01_seg.npy")
    (image_set,) = find_image_sets(image, labels=tmp_path / "labels")
    assert np.array_equal(read_labels(image_set.labels["Nuclei"], "Nuclei", PLANE.shape), LABELS)
    write(tmp_path / "labels/A01_cp_masks.tif", LABELS)
    (image_set,) = find_image_sets(image, labels=tmp_path / "labels")
    assert image_set.labels["Nuclei"].path == path.with_name("A01_cp_masks.tif")
    (image_set,) = find_image_sets(image, rois=write_rois(tmp_path / "labels/A01_rois.zip").parent)
    assert image_set.labels["Nuclei"].path.name == "A01_rois.zip"


class Harmful:
    def __reduce__(self):
        # not print: Ray replaces it where it has been started
        return (operator.add, (1, 1))


def test_seg_npy_that_cannot_be_used(tmp_path, capsys):
    cases = {
        r"holds _operator.add, not arrays alone": {"masks": Harmful()},
        r"holds uint16 of shape \(3, 40, 50\), not the labels of one plane": {"masks": np.stack([LABELS] * 3)},
    }
    for message, content in cases.items():
        with pytest.raises(ImageError, match=message):
            read_labels(PlaneSource(seg(tmp_path / "a_seg.npy", **content)), "Nuclei", PLANE.shape)
    np.save(tmp_path / "b.npy", {"flows": 1}, allow_pickle=True)
    with pytest.raises(ImageError, match=r"is no _seg\.npy of Cellpose: it holds no 'masks'"):
        read_labels(PlaneSource(tmp_path / "b.npy"), "Nuclei", PLANE.shape)
    (tmp_path / "c.npy").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"cannot be read .*: is it damaged"):
        read_labels(PlaneSource(tmp_path / "c.npy"), "Nuclei", PLANE.shape)
    with pytest.raises(ImageError, match=r"cannot be read .No such file"):
        read_labels(PlaneSource(tmp_path / "d.npy"), "Nuclei", PLANE.shape)
    np.save(tmp_path / "e.npy", np.asfortranarray(LABELS))
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "e.npy"), "Nuclei", PLANE.shape), LABELS)
    assert "code" not in capsys.readouterr().out


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX"])
def test_outlines_are_those_of_their_plane(tmp_path, axes):
    planes = np.stack([PLANE] * 3)
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata={"axes": axes})
    rois = []
    for n in range(3):
        roi = roifile.ImagejRoi.frompoints(np.array([[2, 3], [9, 3], [9, 9], [2, 9]]) + 5 * n, name=f"r{n}")
        roi.position = n + 1
        rois.append(roi)
    roifile.roiwrite(tmp_path / "a.zip", rois, mode="w")
    source = PlaneSource(tmp_path / "a.zip")
    for n in range(3):
        labels = read_labels(source, "Cells", PLANE.shape, [PlaneSource(tmp_path / "a.tif", n)])
        assert np.unique(labels).tolist() == [0, n + 1]
    channels = [PlaneSource(tmp_path / "a.tif", n) for n in range(3)]
    assert np.unique(read_labels(source, "Cells", PLANE.shape, channels)).tolist() == [0, 1, 2, 3]
    write(tmp_path / "one.tif", PLANE)
    with pytest.raises(ImageError, match="outline 'r1' lies in another plane of a stack, but the image has one plane"):
        read_labels(source, "Cells", PLANE.shape, [PlaneSource(tmp_path / "one.tif")])


def test_outlines_of_a_hyperstack(tmp_path):
    """A time point and a channel of a file whose planes are counted with the channel first."""
    from microsnoop_engine.images.roi_masks import RoiMask, StackPosition
    from microsnoop_engine.images.roi_positions import lies_in, locate

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 2, 20, 30), np.uint16), imagej=True, metadata={"axes": "TCYX"})
    roi = RoiMask("", (0, 0, 1, 1), np.ones((1, 1), bool), "", StackPosition(0, 0, 0, 2))
    places = [locate(PlaneSource(tmp_path / "a.tif", n)) for n in range(6)]
    assert [lies_in(roi, place) for place in places] == [False, False, True, True, False, False]
    roi = RoiMask("", (0, 0, 1, 1), np.ones((1, 1), bool), "", StackPosition(4))
    assert [lies_in(roi, place) for place in places] == [False, False, False, True, False, False]


def test_a_stack_of_labels_beside_a_stack(tmp_path):
    stack = np.stack([PLANE, PLANE + 1, PLANE + 2])
    masks = np.stack([np.where(n == LABELS, LABELS, 0) for n in (1, 2, 3)])
    (tmp_path / "images").mkdir()
    write(tmp_path / "images" / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    write(tmp_path / "images" / "a_cp_masks.tif", masks.astype(np.uint16), imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "labels").mkdir()
    write(tmp_path / "labels" / "a.tif", masks.astype(np.uint16), imagej=True, metadata={"axes": "ZYX"})
    for labels in (None, tmp_path / "labels"):
        found = find_image_sets(tmp_path / "images", labels=labels, selection=PlaneSelection(plane="all"))
        numbers = [np.unique(read_labels(each.labels["Nuclei"], "Nuclei", PLANE.shape)).tolist() for each in found]
        assert numbers == [[0, 1], [0, 2], [0, 3]]
        with pytest.raises(InputError, match="3 planes in depth, but the image is projected to one"):
            find_image_sets(tmp_path / "images", labels=labels, selection=PlaneSelection(project="max"))


def test_labels_beside_a_file_of_several_images_are_of_none(tmp_path, caplog):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        for n in range(2):
            tiff.write(PLANE + n, metadata={"axes": "YX"})
    write(tmp_path / "a_masks.tif", LABELS.astype(np.uint16))
    assert not any(each.labels for each in find_image_sets(tmp_path))
    assert "a_masks.tif' is not used: it lies beside a file of several images" in caplog.text


def test_labels_beside_an_image_in_other_capitals(tmp_path):
    write(tmp_path / "A01.tif", PLANE)
    write(tmp_path / "a01_Masks.tif", LABELS.astype(np.uint16))
    (image_set,) = find_image_sets(tmp_path)
    assert image_set.labels["Nuclei"].path.name == "a01_Masks.tif"
    write(tmp_path / "a01.tif", PLANE + 1)
    write(tmp_path / "A01_masks.tif", LABELS.astype(np.uint16))
    names = {each.metadata["File"]: each.labels["Nuclei"].path.name for each in find_image_sets(tmp_path)}
    assert names["A01.tif"] == "A01_masks.tif"
