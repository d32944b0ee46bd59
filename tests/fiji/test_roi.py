"""ROI files: the same pixels as ImageJ's own ``Roi.getMask()``, and refusal by name of what is not exact."""

import numpy as np
import pandas as pd
import pytest
import roifile
from roifile import ImagejRoi

from microsnoop_engine.cli.main import main
from microsnoop_engine.images.imagej_roi import RoiError, read_rois
from microsnoop_engine.images.outline_files import read_outlines
from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.settings import CropSettings

FITTED = ("--scale", "each")
KINDS = ("oval", "oval float", "rectangle", "polygon", "polygon float", "freehand", "traced", "ellipse", "rotated")
COMPOSITES = ("ring", "composite", "composite float")


def drawn(java, kind, random):
    """A random ROI of ImageJ."""
    import jpype

    gui = {name: java.jimport(f"ij.gui.{name}") for name in ("Roi", "OvalRoi", "PolygonRoi", "ShapeRoi")}
    floats, integers = jpype.JArray(jpype.JFloat), jpype.JArray(jpype.JInt)
    x, y, width, height = random.integers(1, 50, 4).tolist()
    count = int(random.integers(3, 12))
    corners = random.uniform(-5, 60, (2, count)).astype(np.float32).tolist()
    whole = random.integers(-5, 60, (2, count)).tolist()
    a, b, c, d = random.uniform(5, 50, 4).tolist()
    oval, other = gui["ShapeRoi"](gui["OvalRoi"](5, 5, 40, 30)), gui["ShapeRoi"](gui["Roi"](20, 10, 30, height))
    if kind == "oval":
        return gui["OvalRoi"](x, y, width, height)
    if kind == "oval float":
        return gui["OvalRoi"](x + 0.4, y + 0.6, width + 0.3, height + 0.7)
    if kind == "rectangle":
        return gui["Roi"](x + 0.4, y + 0.6, width + 0.3, height + 0.7)
    if kind in ("polygon float", "freehand"):
        return gui["PolygonRoi"](floats(corners[0]), floats(corners[1]), 2 if kind == "polygon float" else 3)
    if kind in ("polygon", "traced"):
        return gui["PolygonRoi"](integers(whole[0]), integers(whole[1]), count, 2 if kind == "polygon" else 4)
    if kind == "ellipse":
        return java.jimport("ij.gui.EllipseRoi")(a, b, c, d, float(random.uniform(0.2, 1)))
    if kind == "rotated":
        return java.jimport("ij.gui.RotatedRectRoi")(a, b, c, d, float(random.uniform(3, 20)))
    if kind == "ring":
        return oval.not_(gui["ShapeRoi"](gui["OvalRoi"](15, 12, 15, 12)))
    if kind == "composite":
        return oval.xor(other)
    return oval.or_(gui["ShapeRoi"](gui["PolygonRoi"](floats(corners[0]), floats(corners[1]), 2)))


def on_canvas(box, mask):
    """A mask on a large plane, so that boxes need not be the same."""
    y0, x0, y1, x1 = box
    canvas = np.zeros((200, 200), bool)
    canvas[y0 + 60 : y1 + 60, x0 + 60 : x1 + 60] = mask
    return canvas


@pytest.mark.parametrize("kind", [*KINDS, *COMPOSITES])
def test_pixels_are_those_of_imagej(java, tmp_path, kind):
    random = np.random.default_rng([7, len(kind)])
    path = tmp_path / "one.roi"
    for _ in range(40):
        java.jimport("ij.io.RoiEncoder")(str(path)).write(drawn(java, kind, random))
        roi = java.jimport("ij.io.RoiDecoder")(str(path)).getRoi()
        bounds, mask = roi.getBounds(), roi.getMask()
        box = [int(v) for v in (bounds.y, bounds.x, bounds.y + bounds.height, bounds.x + bounds.width)]
        shape = (int(bounds.height), int(bounds.width))
        inside = mask is None or np.frombuffer(memoryview(mask.getPixels()), np.uint8).reshape(shape) != 0
        (found,) = read_rois(path)
        np.testing.assert_array_equal(on_canvas(found.box, found.mask), on_canvas(box, inside))


def write(path):
    roi = ImagejRoi.frompoints(np.array([[5, 5], [30, 8], [20, 40]]), name="mine")
    roifile.roiwrite(path, roi, mode="w")
    return path


def test_rounded_rectangles_and_curves_of_imagej_are_refused(java, tmp_path):
    rounded = java.jimport("ij.gui.Roi")(5, 5, 40, 30, 12)
    curved = java.jimport("ij.gui.ShapeRoi")(java.jimport("java.awt.geom.Ellipse2D").Double(5.5, 5.5, 30, 20))
    for roi, said in ((rounded, "a rounded rectangle"), (curved, "a composite with curves")):
        java.jimport("ij.io.RoiEncoder")(str(tmp_path / "one.roi")).write(roi)
        with pytest.raises(RoiError, match=said):
            read_rois(tmp_path / "one.roi")


def test_profile_with_the_zip_of_the_roi_manager(java, ij, field, embedder, tmp_path):
    """Overlapping outlines, saved by the ROI Manager itself, against the plugin in the same ImageJ."""
    manager = java.jimport("ij.plugin.frame.RoiManager")()
    ovals = [(20, 30, 40, 60), (35, 50, 60, 45), (200, 180, 70, 90)]
    for number, place in enumerate(ovals):
        roi = java.jimport("ij.gui.OvalRoi")(*place)
        roi.setName(f"oval {number}")
        manager.addRoi(roi)
    path = tmp_path / "RoiSet.zip"
    manager.runCommand("Save", str(path))
    imp = ij.openImage(str(field[0]))
    imp.show()
    ij.run("Measure Microsnoop Features", f"objects=[ROI Manager] name=Nuclei csv=[{tmp_path}/plugin.csv]")
    plugin = pd.read_csv(tmp_path / "plugin.csv")
    assert (
        main(["profile", str(field[0]), "--rois", str(path), *FITTED, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    )
    engine = pd.read_parquet(tmp_path / "out" / "profiles.parquet")
    names = [name for name in engine if "_Microsnoop_E" in name]
    assert len(names) == 768
    np.testing.assert_allclose(engine[names], plugin[names], atol=1e-4)
    same = ["ObjectNumber", "Nuclei_Location_Center_X", "Metadata_Crop_MinX", "Metadata_Object_TouchesBorder"]
    np.testing.assert_allclose(engine[same], plugin[same], rtol=1e-6)


def test_profile_with_the_overlay_that_imagej_saved(java, ij, field, tmp_path):
    """An overlay with annotations, saved in the image, against the same outlines as a zip."""
    gui = {name: java.jimport(f"ij.gui.{name}") for name in ("OvalRoi", "TextRoi", "Arrow", "Overlay")}
    ovals = [gui["OvalRoi"](*place) for place in ((20, 30, 40, 60), (200, 180, 70, 90))]
    imp = ij.openImage(str(field[0]))
    overlay = gui["Overlay"]()
    for roi in (gui["TextRoi"](5, 5, "day 3"), ovals[0], gui["Arrow"](9, 9, 30, 30), ovals[1]):
        overlay.add(roi)
    imp.setOverlay(overlay)
    ij.saveAsTiff(imp, str(tmp_path / "a.tif"))
    read = read_outlines(tmp_path / "a.tif")
    assert [roi.box for roi in read] == [(30, 20, 90, 60), (180, 200, 270, 270)]
    for roi, oval in zip(read, ovals, strict=True):
        assert np.array_equal(roi.mask, np.asarray(oval.getMask().getPixels(), np.uint8).reshape(roi.mask.shape) > 0)
    command = ["profile", str(tmp_path / "a.tif"), "--rois", str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(command) == 0
    assert pd.read_parquet(tmp_path / "out" / "profiles.parquet")["ObjectNumber"].tolist() == [1, 2]


def test_profile_of_a_folder_with_a_roi_file_per_image(field, embedder, tmp_path, capsys):
    images, rois = tmp_path / "images", tmp_path / "rois"
    images.mkdir()
    rois.mkdir()
    for name in ("one", "two", "three"):
        (images / f"{name}.tif").write_bytes(field[0].read_bytes())
    write(rois / "one.roi")
    roifile.roiwrite(rois / "two_RoiSet.zip", [ImagejRoi.frompoints([[9, 9], [60, 9], [60, 70], [9, 70]], name="x")])
    command = [
        "profile",
        str(images),
        "--rois",
        str(rois),
        *FITTED,
        "--objects",
        "Cells",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--quiet"]) == 1
    assert "there is no ROI file" in capsys.readouterr().err + (tmp_path / "out" / "images.csv").read_text()
    table = pd.read_parquet(tmp_path / "out" / "profiles.parquet").set_index("Metadata_File")
    assert sorted(table.index) == ["one.tif", "two.tif"]
    labels = np.zeros((256, 256), np.int32)
    labels[9:70, 9:60] = 1
    found = table.loc["two.tif", [name for name in table if "_Microsnoop_E" in name]].to_numpy(np.float64)
    want = measure(embedder, field[1], labels, CropSettings(scale="each")).features[0]
    np.testing.assert_allclose(found, want, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rois", "{there}"], "is one file, but there are 2 image sets: use a folder"),
        (["--rois", "nowhere.zip"], "is no file of outlines"),
        (["--rois", "{there}", "--segment", "nuclei"], "--rois goes with --mode cells, and without --segment"),
    ],
)
def test_wrong_use_of_rois(field, tmp_path, capsys, options, said):
    write(tmp_path / "one.roi")
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        (folder / name).write_bytes(field[0].read_bytes())
    given = [option.format(there=tmp_path / "one.roi") for option in options]
    assert main(["profile", str(folder), *given, "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
