"""A screen of many image sets from one small file on disk, for tests of the distributor and the command."""

import csv

import numpy as np
import tifffile


def write_screen(folder, count, size=96, objects=2, **columns):
    """Write a LoadData.csv of `count` image sets that share four images and one label image.

    Parameters
    ----------
    folder : Path
    count, size, objects : int
        Image sets, pixels of a side, and squares of 8 pixels in the label image.
    **columns : list of str
        Replace a column, one value per image set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    labels = np.zeros((size, size), np.uint16)
    for number in range(objects):
        labels[10:18, 10 + 20 * number : 18 + 20 * number] = number + 1
    tifffile.imwrite(folder / "labels.tif", labels, compression="zlib")
    for kind in range(4):
        for channel in ("DNA", "GFP"):
            image = np.zeros((size, size), np.uint16)
            image[:32, :80] = random.integers(0, 4000, (32, 80))
            tifffile.imwrite(folder / f"{channel}{kind}.tif", image, compression="zlib")
    table = {
        "FileName_DNA": [f"DNA{n % 4}.tif" for n in range(count)],
        "FileName_GFP": [f"GFP{n // 2 % 4}.tif" for n in range(count)],
        "ObjectsFileName_Nuclei": ["labels.tif"] * count,
        "Metadata_Plate": [f"P{n % 2}" for n in range(count)],
        "Metadata_Well": [f"{'ABCDEFGH'[n // 12 % 8]}{n % 12 + 1:02d}" for n in range(count)],
        "Metadata_Site": [str(n // 96 + 1) for n in range(count)],
    }
    table.update(columns)
    path = folder / "LoadData.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path
