#!/usr/bin/env bash
# Versions: opencv-python-headless 5.0.0.93, scikit-image 0.26.0, rasterio 1.5.2, shapely 2.2.0, Pillow 13.0.0, matplotlib 3.11.2.
# Expected: a disc of 317 pixels, turned into an outline and filled again, has 317 pixels, or nearly so.
# Seen: 270 to 360, by the pair of programs. OpenCV's outlines run through the centers of the edge pixels, rasterio's
#       around them with the corner at 0, scikit-image's half way with the center at 0; OpenCV and Pillow fill the line
#       itself too, rasterio and matplotlib only what lies inside. Each is right with itself (or its twin), a mix is up
#       to 15 % off, and shapes and intensities at the rim go with it.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v opencv-python-headless==5.0.0.93 scikit-image==0.26.0 rasterio==1.5.2 shapely==2.2.0 pillow==13.0.0 matplotlib==3.11.2 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
import rasterio.features
from matplotlib.path import Path
from PIL import Image, ImageDraw
from shapely.geometry import Polygon, shape
from skimage import draw, measure

y, x = np.mgrid[:41, :41]
disc = ((y - 20) ** 2 + (x - 20) ** 2 <= 100).astype(np.uint8)

def by_opencv(points):
    return cv2.fillPoly(np.zeros_like(disc), [np.round(points).astype(np.int32)], 1)
def by_skimage(points):
    return draw.polygon2mask(disc.shape, points[:, ::-1])
def by_rasterio(points):
    return rasterio.features.rasterize([Polygon(points)], out_shape=disc.shape)
def by_pillow(points):
    image = Image.new("1", disc.shape)
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=1)
    return np.asarray(image)
def by_matplotlib(points):
    return Path(points).contains_points(np.c_[x.ravel(), y.ravel()])

outlines = {
    "opencv": cv2.findContours(disc, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0].astype(float),
    "skimage": measure.find_contours(disc, 0.5)[0][:, ::-1],
    "rasterio": np.array([shape(s) for s, v in rasterio.features.shapes(disc) if v == 1][0].exterior.coords),
}
fills = [by_opencv, by_skimage, by_rasterio, by_pillow, by_matplotlib]
print("versions: opencv", cv2.__version__, "and the pins above\nexpected:", disc.sum(), "everywhere")
print("seen: filled by", [fill.__name__[3:] for fill in fills])
seen = {name: [int(fill(points).sum()) for fill in fills] for name, points in outlines.items()}
for name, counts in seen.items():
    print(f"seen: outline of {name:9}", counts)
assert disc.sum() == 317
assert seen == {"opencv": [317, 317, 288, 317, 270], "skimage": [357, 317, 316, 353, 317],
                "rasterio": [360, 360, 317, 360, 296]}
PY
