"""Write arrays (t, c, z, y, x) as OME-Zarr by a writer's own package; run in the environment of the writers.

Usage: python write_ome_zarr.py WRITER VERSION ARRAY.npy LABELS.npy OUTPUT, the labels (t, z, y, x).
"""

import sys

import numpy as np

NAMES = ["DNA", "GFP"]
CHUNKS = (1, 1, 1, 16, 24)


def iohub(version, array, labels, path):
    """Write a plate of two wells; the second is the image backwards in depth. Labels are not written by iohub."""
    from iohub import open_ome_zarr

    with open_ome_zarr(path, layout="hcs", mode="w", channel_names=NAMES, version=version) as plate:
        for column, image in (("1", array), ("2", array[:, :, ::-1])):
            plate.create_position("A", column, "0").create_image("0", np.ascontiguousarray(image), chunks=CHUNKS)


def ngff_zarr(version, array, labels, path):
    """Write an image of two levels, halved in depth too, and its labels."""
    from ngff_zarr import to_multiscales, to_ngff_image, to_ngff_zarr

    scale = {"t": 1.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.5}
    units = dict.fromkeys("zyx", "micrometer")
    for data, dims, target in ((array, "tczyx", path), (labels, "tzyx", f"{path}/labels/nuclei")):
        image = to_ngff_image(data, dims=list(dims), scale={axis: scale[axis] for axis in dims}, axes_units=units)
        factors = [{"z": 2, "y": 2, "x": 2}] if target == path else []
        chunks = dict(zip(dims, CHUNKS if len(dims) == 5 else CHUNKS[1:], strict=True))
        to_ngff_zarr(target, to_multiscales(image, factors, chunks=chunks), version=version, overwrite=target == path)


def bioio(version, array, labels, path):
    """Write an image of one level, and its labels."""
    from bioio_ome_zarr.writers import Channel, OMEZarrWriter

    zarr_format = 3 if version == "0.5" else 2
    channels = [Channel(label=name, color="FFFFFF") for name in NAMES]
    image = OMEZarrWriter(
        path, array.shape, array.dtype, chunk_shape=CHUNKS, zarr_format=zarr_format, channels=channels
    )
    image.write_full_volume(array)
    nuclei = OMEZarrWriter(
        f"{path}/labels/nuclei",
        labels.shape,
        labels.dtype,
        zarr_format=zarr_format,
        axes_names=["t", "z", "y", "x"],
        axes_types=["time", "space", "space", "space"],
    )
    nuclei.write_full_volume(labels)


if __name__ == "__main__":
    writer, version, array, labels, path = sys.argv[1:]
    {"iohub": iohub, "ngff-zarr": ngff_zarr, "bioio-ome-zarr": bioio}[writer](
        version, np.load(array), np.load(labels), path
    )
