"""Draws docs/images/report.png: the top of a report, with the cells of a well.

PYTHONPATH=tests/helpers .venv/bin/python scripts/pictures/report.py demo/report.html docs/images/report.png
"""

import base64
import io
import sys
import time
from pathlib import Path

from browser import browser
from PIL import Image

WIDTH, HEIGHT, ROW = 1280, 1300, 8


def main(page: Path, target: Path) -> None:
    """Open the page, choose a row and write the picture."""
    with browser(WIDTH, HEIGHT) as window:
        window.get(page.resolve().as_uri())
        window.execute_script("select(arguments[0])", ROW)
        time.sleep(1)
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
        shot = window.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    picture.save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
