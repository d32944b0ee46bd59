#!/usr/bin/env bash
# Versions: openvino 2026.4.1 (CPU), Pillow 13.0.0.
# Expected: Interpolate with antialias=True smooths before it makes an image smaller, as the option says.
# Seen: `linear`, `linear_onnx` and `cubic` give bit for bit the same with and without it. Only the modes named after
#       Pillow smooth, and they do so always: `bilinear_pillow` equals Pillow's BILINEAR. A resize built into an exported
#       model thus takes single pixels of a fine texture where its training took means.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v openvino==2026.4.1 pillow==13.0.0 numpy==2.5.5
cd "$T"; v/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import openvino as ov
from openvino import opset13
from PIL import Image

image = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
reference = np.asarray(Image.fromarray(image[0, 0]).resize((16, 16), Image.BILINEAR))
core = ov.Core()
def resize(mode, antialias):
    source = opset13.parameter([1, 1, 64, 64], np.float32)
    node = opset13.interpolate(source, np.array([16, 16]), mode, "sizes", antialias=antialias,
                               coordinate_transformation_mode="half_pixel", axes=np.array([2, 3]))
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(ov.Model([node], [source]), "CPU", settings)(image)[0][0, 0]

print("versions: openvino", version("openvino"), "pillow", version("pillow"))
print("expected: antialias changes the result, and with it linear is close to Pillow's BILINEAR")
for mode in ("linear", "linear_onnx", "cubic", "bilinear_pillow"):
    smooth, plain = resize(mode, True), resize(mode, False)
    off = np.abs(smooth - reference).max()
    print(f"seen: {mode}: antialias changes {np.abs(smooth - plain).max()}; {off:.6f} from Pillow (image 0 to 1)")
    assert (smooth == plain).all()
    assert off < 1e-5 if mode == "bilinear_pillow" else off > 0.2
PY
