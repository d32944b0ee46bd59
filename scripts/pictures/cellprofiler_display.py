"""Draws what the module shows for a well of the synthetic screen, as docs/images/cellprofiler-display.png.

PYTHONPATH=tests/helpers .venv-cellprofiler/bin/python scripts/pictures/cellprofiler_display.py
"""

import os
import tempfile
from pathlib import Path

import tifffile
from cellprofiler_host import REPOSITORY, FigureStandIn, make_module, make_workspace, run_engine_script

DRAW = (
    "import sys; from microsnoop_engine.images.synthetic import write_screen; "
    "write_screen(sys.argv[1], plates=1, n_cells=40, shape=(512, 512))"
)
CHANNELS = ("DNA", "ER", "Actin")
WELL = "B03"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        screen = Path(folder) / "screen"
        run_engine_script(os.environ["MICROSNOOP_PYTHON"], DRAW, screen)
        images = {name: tifffile.imread(screen / f"images/Plate1/{WELL}_s1_{name}.tif") / 65535 for name in CHANNELS}
        labels = tifffile.imread(screen / f"labels/Plate1/{WELL}_s1_Nuclei.tif").astype(int)
    module = make_module(CHANNELS, scope="Both")
    module.show_window = True
    workspace = make_workspace(module, images, {"Nuclei": labels})
    module.run(workspace)
    module.post_run(workspace)
    figure = FigureStandIn()
    module.display(workspace, figure)
    target = REPOSITORY / "docs" / "images" / "cellprofiler-display.png"
    target.parent.mkdir(exist_ok=True)
    figure.figure.savefig(target, dpi=100)
    print(target)
