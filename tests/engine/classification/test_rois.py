"""Test that groups of ImageJ's ROIs become classes, from the ROI Manager's file to the classifier."""

import numpy as np
import tifffile
from roifile import ImagejRoi, roiwrite

from microsnoop_engine.cli.main import main


def test_groups_of_rois_become_classes(tmp_path, capsys):
    random = np.random.default_rng(0)
    image = random.integers(0, 200, (200, 300)).astype(np.uint16)
    rois = []
    for number in range(24):
        top, left = 10 + 48 * (number // 6), 10 + 48 * (number % 6)
        bright = number % 2
        image[top : top + 20, left : left + 20] += random.integers(500, 3000, (20, 20)).astype(np.uint16)
        if bright:
            image[top + 5 : top + 15, left + 5 : left + 15] = 9000
        roi = ImagejRoi.frompoints([(left, top), (left + 20, top), (left + 20, top + 20), (left, top + 20)])
        roi.name, roi.group = f"cell{number}", (0 if number >= 20 else 1 + bright)
        rois.append(roi)
    tifffile.imwrite(tmp_path / "field.tif", image)
    roiwrite(tmp_path / "RoiSet.zip", rois)
    profiles, model = str(tmp_path / "profiles"), str(tmp_path / "model.safetensors")
    arguments = [str(tmp_path / "field.tif"), "--rois", str(tmp_path / "RoiSet.zip"), "--out", profiles]
    assert main(["profile", *arguments, "--quiet", "--threads", "1"]) == 0
    assert main(["classify", "train", profiles, "--label", "Metadata_ROI_Group", "-o", model]) == 0
    output = capsys.readouterr().out
    assert "20 labeled cells" in output
    assert "  1: 10 cells, 100.0 %" in output
    assert "  2: 10 cells, 100.0 %" in output
    assert "single cells held out" in output
