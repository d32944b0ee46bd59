"""Read ROI files of ImageJ, and refuse by name the kinds whose pixels are not known exactly.

That the pixels are those of ImageJ is tested against ImageJ itself, with the plugin for Fiji.
"""

import numpy as np
import pytest

roifile = pytest.importorskip("roifile")
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi  # noqa: E402

from microsnoop_engine.errors import ImageError, InputError  # noqa: E402
from microsnoop_engine.images.image_set import ImageSet, PlaneSource  # noqa: E402
from microsnoop_engine.images.imagej_roi import RoiError, read_rois  # noqa: E402
from microsnoop_engine.images.label_files import match_rois  # noqa: E402
from microsnoop_engine.images.labels import read_labels  # noqa: E402


def write(path, **attributes):
    roi = ImagejRoi.frompoints(np.array([[5, 5], [30, 8], [20, 40]]), name="mine")
    for name, value in attributes.items():
        setattr(roi, name, value)
    roifile.roiwrite(path, roi, mode="w")
    return path


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"roitype": ROI_TYPE.POLYLINE}, '"mine", is a segmented line: it has no area'),
        ({"roitype": ROI_TYPE.POINT}, '"mine", is points: it has no area to measure; remove it'),
        ({"options": ROI_OPTIONS.SPLINE_FIT}, '"mine", is fitted with a spline: its pixels are not known exactly'),
    ],
)
def test_what_is_not_exact_is_refused_by_name(tmp_path, attributes, message):
    with pytest.raises(RoiError, match=r"ROI 1 of 'one\.roi'") as caught:
        read_rois(write(tmp_path / "one.roi", **attributes))
    assert message in str(caught.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    (tmp_path / "bad.roi").write_bytes(b"Iout")
    for name, message in (
        ("bad.zip", "cannot be read"),
        ("bad.roi", "cannot be read"),
        ("none.zip", "no ROI file"),
    ):
        with pytest.raises(RoiError, match=message):
            read_rois(tmp_path / name)


def test_rois_that_overlap_are_planes_of_labels(tmp_path):
    squares = [
        [[2, 3], [8, 3], [8, 9], [2, 9]],
        [[5, 5], [12, 5], [12, 12], [5, 12]],
        [[20, 1], [24, 1], [24, 4], [20, 4]],
    ]
    roifile.roiwrite(
        tmp_path / "a.zip", [ImagejRoi.frompoints(corners, name=f"r{n}") for n, corners in enumerate(squares)]
    )
    labels = read_labels(PlaneSource(tmp_path / "a.zip"), "Cells", (30, 40))
    assert labels.shape == (2, 30, 40)
    for number, corners in enumerate(squares, start=1):
        (x0, y0), (x1, y1) = corners[0], corners[2]
        inside = np.zeros((30, 40), bool)
        inside[y0:y1, x0:x1] = True
        assert np.array_equal((labels == number).any(0), inside)
    with pytest.raises(ImageError, match=r"none of its 3 outlines lies in the image \(2 x 1 pixels\)") as caught:
        read_labels(PlaneSource(tmp_path / "a.zip"), "Cells", (1, 2))
    assert (caught.value.path, caught.value.channel) == (str(tmp_path / "a.zip"), "Cells")


def test_roi_files_by_the_names_of_the_images(tmp_path):
    image_sets = [ImageSet(n, {"DNA": PlaneSource(tmp_path / "images" / f"field{n}.tif")}) for n in (1, 2, 3)]
    (tmp_path / "rois").mkdir()
    for name in ("field1.zip", "field2_RoiSet.zip"):
        (tmp_path / "rois" / name).touch()
    matched = match_rois(image_sets, tmp_path / "rois", "Cells")
    # the last one is missing, which is reported when it is read
    names = ["field1.zip", "field2_RoiSet.zip", "field3.zip"]
    assert [image_set.labels["Cells"].path.name for image_set in matched] == names
    with pytest.raises(InputError, match=r"`rois`: '.*field1\.zip' is one file, but there are 3 image sets"):
        match_rois(image_sets, tmp_path / "rois" / "field1.zip", "Cells")
    with pytest.raises(InputError, match=r"`rois`: '.*none' is no file of outlines"):
        match_rois(image_sets, tmp_path / "none", "Cells")
    (tmp_path / "rois" / "field1.roi").touch()
    with pytest.raises(InputError, match=r"more than one ROI file: '.*field1\.zip', '.*field1\.roi'"):
        match_rois(image_sets, tmp_path / "rois", "Cells")


def test_roi_files_of_plates_with_the_same_names(tmp_path):
    paths = [tmp_path / "images" / plate / "A01.tif" for plate in ("P1", "P2")]
    image_sets = [ImageSet(n, {"DNA": PlaneSource(path)}) for n, path in enumerate(paths, start=1)]
    (tmp_path / "rois").mkdir()
    (tmp_path / "rois" / "A01.zip").touch()
    with pytest.raises(InputError, match=r"A01\.zip' fits image set 1 as well as 2: put the outlines into folders"):
        match_rois(image_sets, tmp_path / "rois", "Cells")
    for plate in ("P1", "P2"):
        (tmp_path / "rois" / plate).mkdir()
        (tmp_path / "rois" / plate / "A01.tif.ZIP").touch()
    (tmp_path / "rois" / "A01.zip").unlink()
    matched = match_rois(image_sets, tmp_path / "rois", "Cells")
    assert [each.labels["Cells"].path.parent.name for each in matched] == ["P1", "P2"]
