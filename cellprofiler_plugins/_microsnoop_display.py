"""Draw the module's window: crops of some objects, and a map of their embeddings.

Python 3.8, standard library and numpy only: this file runs inside CellProfiler.
"""

import numpy

IMAGE = "Image"
SHOWN_OBJECTS = 6
SHOWN_POINTS = 500
CROP_SIZE = 96
IMAGE_SIZE = 192


def image_panel(images, channels, features):
    """Prepare what is drawn of whole images.

    Parameters
    ----------
    images : list of str
        Names of the channels.
    channels : numpy.ndarray
        Their pixels (c, h, w).
    features : numpy.ndarray
        Their embeddings, one after the other.

    Returns
    -------
    dict
        Small arrays only: they cross processes.
    """
    return {
        "name": IMAGE,
        "channels": images,
        "crops": numpy.array([[thumbnail(plane, IMAGE_SIZE) for plane in channels]]),
        "embedding": features.reshape(len(channels), -1),
    }


def object_panel(name, images, channels, planes, result, masked):
    """Prepare what is drawn of an object set.

    Parameters
    ----------
    name : str
        The object set.
    images, channels
        See `image_panel`.
    planes : numpy.ndarray
        Its labels, (h, w) or (p, h, w).
    result : dict
        Outputs of the engine: ``object_number``, ``box``, ``features``.
    masked : bool
        Whether everything outside the object was set to zero.

    Returns
    -------
    dict
        Small arrays only: they cross processes.
    """
    numbers = result["object_number"]
    shown = spread(len(numbers), SHOWN_OBJECTS)
    masks = planes.reshape(-1, *planes.shape[-2:])
    crops = []
    for row in shown:
        y0, x0, y1, x1 = result["box"][row]
        crop = channels[:, y0:y1, x0:x1]
        if masked:
            crop = crop * (masks[:, y0:y1, x0:x1] == numbers[row]).any(axis=0)
        crops.append([thumbnail(plane, CROP_SIZE) for plane in crop])
    mapped = numpy.union1d(shown, spread(len(numbers), SHOWN_POINTS))
    points, explained = principal_components(result["features"][mapped])
    return {
        "name": name,
        "channels": images,
        "crops": numpy.array(crops),
        "numbers": numbers[shown],
        "points": points,
        "shown_points": points[numpy.searchsorted(mapped, shown)],
        "explained": explained,
    }


def draw(figure, panels):
    """Draw the panels below each other.

    Parameters
    ----------
    figure : cellprofiler.gui.figure.Figure
        CellProfiler's window, or anything with its `set_subplots` and `subplot`.
    panels : list of dict
        See `image_panel` and `object_panel`.
    """
    figure.set_subplots((2, max(1, len(panels))))
    if not panels:
        figure.subplot(0, 0).set_axis_off()
        figure.subplot(0, 0).text(0.5, 0.5, "There are no objects in this image set.", ha="center", va="center")
    for row, panel in enumerate(panels):
        draw_crops(figure.subplot(0, row), panel)
        if panel["name"] == IMAGE:
            draw_embedding(figure.subplot(1, row), panel)
        else:
            draw_map(figure.subplot(1, row), panel)


def spread(count, limit):
    """Indices of at most `limit` rows, spread evenly over `count`."""
    return numpy.unique(numpy.linspace(0, count - 1, min(limit, count)).astype(int))


def thumbnail(plane, size):
    """Shrink or enlarge a crop to a small uint8 square, its 1st to 99.8th percentile from black to white."""
    height, width = plane.shape
    side = max(height, width)
    square = numpy.zeros((side, side), numpy.float32)
    square[(side - height) // 2 :, (side - width) // 2 :][:height, :width] = plane
    low, high = numpy.nanpercentile(plane, (1, 99.8))
    edges = numpy.linspace(0, side, size + 1).astype(int)
    if side > size:
        for axis in (0, 1):
            square = numpy.add.reduceat(square, edges[:-1], axis)
        square /= numpy.outer(numpy.diff(edges), numpy.diff(edges))
    else:
        square = square[numpy.ix_(edges[:-1], edges[:-1])]
    scaled = (square - low) / max(high - low, 1e-6)
    return (numpy.nan_to_num(scaled.clip(0, 1)) * 255).astype(numpy.uint8)


def principal_components(features):
    """Project embeddings on their first two principal components.

    Parameters
    ----------
    features : numpy.ndarray
        Shape (n, d); rows with NaN are left out of the fit.

    Returns
    -------
    points : numpy.ndarray
        Shape (n, 2), NaN for rows with NaN and where there are fewer than three others.
    explained : list of float
        Share of the variance along each of the two.
    """
    points = numpy.full((len(features), 2), numpy.nan, numpy.float32)
    finite = numpy.isfinite(features).all(axis=1)
    if finite.sum() < 3:
        return points, [0.0, 0.0]
    centered = features[finite] - features[finite].mean(axis=0)
    left, singular, _ = numpy.linalg.svd(centered, full_matrices=False)
    points[finite] = left[:, :2] * singular[:2]
    total = max(float((singular**2).sum()), 1e-12)
    return points, [float(value**2 / total) for value in singular[:2]]


def draw_crops(axes, panel):
    """Draw the crops as a grid, one channel per row and one object per column; whole images side by side."""
    whole = panel["name"] == IMAGE
    crops = panel["crops"] if whole else panel["crops"].swapaxes(0, 1)
    rows, columns, size = crops.shape[:3]
    step = size + size // 24
    sheet = numpy.full((rows * step, columns * step), numpy.nan)
    for row in range(rows):
        for column in range(columns):
            sheet[row * step : row * step + size, column * step : column * step + size] = crops[row, column]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([column * step + size / 2 for column in range(columns)])
    axes.set_xticklabels(panel["channels"] if whole else [str(number) for number in panel["numbers"]])
    axes.xaxis.tick_top()
    axes.set_yticks([] if whole else [row * step + size / 2 for row in range(rows)])
    axes.set_yticklabels([] if whole else panel["channels"])
    axes.set_title("Whole image" if whole else "%s, by object number" % panel["name"])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_map(axes, panel):
    """Draw the first two principal components of the embeddings, and mark the objects whose crops are shown."""
    points, shown = numpy.asarray(panel["points"]), numpy.asarray(panel["shown_points"])
    axes.set_title("%s, map of the embeddings" % panel["name"])
    if not numpy.isfinite(points).any():
        axes.set_axis_off()
        axes.text(0.5, 0.5, "A map needs three objects or more.", ha="center", va="center", transform=axes.transAxes)
        return
    axes.scatter(points[:, 0], points[:, 1], s=18, color="0.6", linewidths=0)
    axes.scatter(shown[:, 0], shown[:, 1], s=30, color="tab:orange", edgecolors="black", linewidths=0.6)
    for (x, y), number in zip(shown, panel["numbers"]):
        if numpy.isfinite(x):
            axes.annotate(str(number), (x, y), xytext=(5, 3), textcoords="offset points")
    axes.set_xlabel("Principal component 1 (%.0f %%)" % (100 * panel["explained"][0]))
    axes.set_ylabel("Principal component 2 (%.0f %%)" % (100 * panel["explained"][1]))
    axes.set_xticks([])
    axes.set_yticks([])


def draw_embedding(axes, panel):
    """Draw the embedding of the whole image, one strip per channel."""
    axes.imshow(panel["embedding"], aspect="auto", cmap="viridis", interpolation="nearest")
    axes.set_yticks(range(len(panel["channels"])))
    axes.set_yticklabels(panel["channels"])
    last = panel["embedding"].shape[1] - 1
    axes.set_xticks(sorted({round(last * part / 4) for part in range(5)}))
    axes.set_xlabel("Feature (E000 to E%03d)" % last)
    axes.set_title("Whole image, its embedding")
