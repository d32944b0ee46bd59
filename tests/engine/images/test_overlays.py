"""Outlines that are saved in an image itself are read when they are asked for, and never passed over without a word."""

import logging

import numpy as np
import pytest
import tifffile
from image_files import RNG

from microsnoop_engine.distributor.job import resolve_job
from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set_file import read_image_sets, write_image_sets
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.selection import PlaneSelection
from microsnoop_engine.modes.settings import CropSettings

roifile = pytest.importorskip("roifile")

BOXES = [(4, 4, 8, 6), (20, 10, 5, 9)]
"""x, y, width, height of two cells."""
IMAGE = RNG.integers(0, 60000, (30, 40), np.uint16)


def cell(box, **options):
    x, y, width, height = box
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return roifile.ImagejRoi.frompoints(corners, **options).tobytes()


def other(kind, subtype=roifile.ROI_SUBTYPE.UNDEFINED, name=""):
    roi = roifile.ImagejRoi.frompoints([[1, 1], [9, 1], [9, 9], [1, 9]], name=name)
    roi.roitype, roi.subtype = kind, subtype
    return roi.tobytes()


TEXT = other(roifile.ROI_TYPE.RECT, roifile.ROI_SUBTYPE.TEXT)
ARROW = other(roifile.ROI_TYPE.LINE, roifile.ROI_SUBTYPE.ARROW)
SCALE_BAR = other(roifile.ROI_TYPE.RECT, name="|SB|")
RECTANGLE = other(roifile.ROI_TYPE.RECT)


def save(path, overlay=(), selection=None, image=IMAGE, **metadata):
    """Write an image as ImageJ saves it."""
    metadata |= {"Overlays": list(overlay)} if overlay else {}
    metadata |= {"ROI": selection} if selection else {}
    tifffile.imwrite(path, image, imagej=True, metadata=metadata)
    return path


def labels_of(image_set):
    (objects, source), *_ = image_set.labels.items()
    return read_labels(source, objects, IMAGE.shape, tuple(image_set.channels.values())).max(0)


def expected(*numbers):
    labels = np.zeros(IMAGE.shape, int)
    for number in numbers:
        x, y, width, height = BOXES[number - 1]
        labels[y : y + height, x : x + width] = number
    return labels


def warnings_of(image_sets, caplog, **options):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        resolve_job(image_sets, CropSettings(), **options)
    return [record.getMessage() for record in caplog.records]


def test_overlay_of_a_single_image(tmp_path):
    path = save(tmp_path / "a.tif", [TEXT, *map(cell, BOXES), ARROW, SCALE_BAR])
    (image_set,) = find_image_sets(path, rois=path)
    assert np.array_equal(labels_of(image_set), expected(1, 2))
    # a report draws them again
    write_image_sets(tmp_path, [image_set], ["Image"])
    assert read_image_sets(tmp_path)[0][1].labels == image_set.labels


def test_overlays_of_a_folder(tmp_path):
    save(tmp_path / "A01_DNA.tif", [cell(BOXES[0])])
    save(tmp_path / "A01_ER.tif")
    save(tmp_path / "A02_DNA.tif", selection=cell(BOXES[0]))
    save(tmp_path / "A02_ER.tif")
    # a file of outlines beside an image goes first
    save(tmp_path / "A03_DNA.tif", [cell(BOXES[0])])
    (tmp_path / "A03_DNA.roi").write_bytes(cell((0, 0, 2, 2)))
    sets = find_image_sets(tmp_path, "{Well}_{Channel}.tif", rois=tmp_path)
    assert [int(labels_of(image_set).sum()) for image_set in sets] == [48, 48, 4]
    save(tmp_path / "A01_ER.tif", [cell(BOXES[1])])
    with pytest.raises(InputError, match=r"image set 1 has outlines in .*A01_DNA.tif', .*A01_ER.tif'"):
        find_image_sets(tmp_path, "{Well}_{Channel}.tif", rois=tmp_path)


def test_overlay_of_a_stack_lies_in_its_planes(tmp_path):
    overlay = [cell(box, position=n, c=0, z=n, t=0) for n, box in enumerate(BOXES)]
    path = save(tmp_path / "a.tif", overlay, image=np.stack([IMAGE, IMAGE]), axes="ZYX")
    for plane in (0, 1):
        (image_set,) = find_image_sets(path, rois=path, selection=PlaneSelection(plane=plane))
        assert np.array_equal(labels_of(image_set), expected(plane + 1))


def test_outlines_in_images_are_named_where_objects_are_found(tmp_path, caplog):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.tif", map(cell, BOXES))
    sets = find_image_sets(tmp_path)
    (message,) = warnings_of(sets, caplog)
    assert "outlines that ImageJ saved in the images are not used: 2 in '" in message
    assert "and those in 1 more. To measure them, set `rois` to the images themselves" in message
    assert warnings_of(sets, caplog, segment="nuclei") == []
    assert warnings_of(find_image_sets(tmp_path, rois=tmp_path), caplog) == []


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"overlay": [TEXT, ARROW, SCALE_BAR]},
        {"selection": RECTANGLE},
        {"selection": other(roifile.ROI_TYPE.POINT)},
    ],
)
def test_annotations_are_no_outlines(tmp_path, caplog, content):
    path = save(tmp_path / "a.tif", **content)
    assert warnings_of(find_image_sets(path), caplog) == []
    with pytest.raises(ImageError, match=r"holds no outlines: in ImageJ, add them to the overlay"):
        labels_of(find_image_sets(path, rois=path)[0])


def test_outlines_in_ome_xml_are_named(tmp_path, caplog):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, IMAGE, metadata={"axes": "YX"})
    xml = tifffile.tiffcomment(path)
    shapes = '<ROI ID="ROI:0"><Union><Polygon ID="Shape:0" Points="1,1 5,1 5,5"/></Union></ROI>'
    tifffile.tiffcomment(path, xml.replace("</OME>", f"{shapes}</OME>").encode())
    (message,) = warnings_of(find_image_sets(path), caplog)
    assert "outlines in the OME-XML of the images are not used: 1 in" in message
