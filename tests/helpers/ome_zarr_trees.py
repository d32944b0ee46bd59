"""Write OME-Zarr of NGFF 0.5 with any metadata, also such as ome-zarr would not write."""

import zarr

TYPES = {"t": "time", "c": "channel"}


def group_at(path):
    """Open or make a group (and its parents on the way)."""
    return zarr.open_group(path, mode="a", zarr_format=3)


def write_image(path, levels, axes="cyx", scales=None, origins=None, names=(), chunks=None, unit="micrometer"):
    """Write an image.

    Parameters
    ----------
    path : Path
        Its group.
    levels : list of array
        With the axes.
    scales, origins : list of float or of (float, float), optional
        Pixel size and translation along y and x of every level; by default 1, 2, 4, .. and none.
    names : sequence of str
        Of the channels.
    chunks : tuple of int, optional
        By default a chunk for the whole.
    """
    group = group_at(path)
    datasets = []
    for n, array in enumerate(levels):
        stored = group.create_array(str(n), shape=array.shape, dtype=array.dtype, chunks=chunks or array.shape)
        stored[...] = array
        ahead = [1.0] * (array.ndim - 2)
        scale = scales[n] if scales else 2.0**n
        steps = [{"type": "scale", "scale": [*ahead, *(scale if isinstance(scale, tuple) else (scale, scale))]}]
        if origins:
            steps.append({"type": "translation", "translation": [0.0] * len(ahead) + list(origins[n])})
        datasets.append({"path": str(n), "coordinateTransformations": steps})
    described = [
        {"name": axis, "type": TYPES.get(axis.lower(), "space" if axis.lower() in "zyx" else "other")} for axis in axes
    ]
    for axis in described:
        if unit and axis["type"] == "space":
            axis["unit"] = unit
    found = {"version": "0.5", "multiscales": [{"axes": described, "datasets": datasets}]}
    if names:
        found["omero"] = {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}
    group.attrs["ome"] = found
    return path


def write_labels(path, name, levels, listed=True, **options):
    """Write a label image of the image at a path."""
    write_image(path / "labels" / name, levels, **{"axes": "yx", **options})
    labels = group_at(path / "labels")
    if listed:
        before = labels.attrs.get("ome", {}).get("labels", [])
        labels.attrs["ome"] = {"version": "0.5", "labels": [*before, name]}


def write_plate(path, fields, acquisitions=None, **options):
    """Write a plate of one row.

    Parameters
    ----------
    path : Path
    fields : list of list of array
        The images (c, y, x) of the wells A/1, A/2, ..
    acquisitions : list of int, optional
        One for every image of a well; not listed in the plate.
    options
        Of :func:`write_image`.

    Returns
    -------
    list of list of Path
        The groups of the images.
    """
    wells = [f"A/{n + 1}" for n in range(len(fields))]
    group_at(path).attrs["ome"] = {
        "version": "0.5",
        "plate": {
            "rows": [{"name": "A"}],
            "columns": [{"name": str(n + 1)} for n in range(len(wells))],
            "wells": [{"path": well, "rowIndex": 0, "columnIndex": n} for n, well in enumerate(wells)],
        },
    }
    groups = []
    for well, images in zip(wells, fields, strict=True):
        listed = [
            {"path": str(n), **({"acquisition": acquisitions[n]} if acquisitions else {})} for n in range(len(images))
        ]
        group_at(path / well).attrs["ome"] = {"version": "0.5", "well": {"images": listed}}
        groups.append([write_image(path / well / str(n), [image], **options) for n, image in enumerate(images)])
    return groups
