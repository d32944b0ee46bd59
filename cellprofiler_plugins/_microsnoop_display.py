"""Draw the module's window: crops of some objects, and a map of their embeddings.

Python 3.8, standard library and numpy only: this file runs inside CellProfiler.
"""

import collections

import numpy

IMAGE = "Image"
SHOWN_PANELS = 4
"""As many as can be read in a window of CellProfiler's default size, 640 x 480 pixels."""
SHOWN_OBJECTS = 6
SHOWN_CHANNELS = (6, 5, 4, 3)
"""Channels that are drawn when there are 1, 2, 3 or 4 panels."""
FONT_SIZES = ((9, 8), (8, 7), (7, 6), (7, 6))
"""Sizes of titles and of other texts when there are 1, 2, 3 or 4 panels, in points."""
SHOWN_POINTS = 500
CROP_SIZE = 96
IMAGE_SIZE = 192
COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colors of the objects that are shown, which all eyes can tell apart (Okabe and Ito)."""
REASONS = {
    "constant": "no contrast in the box",
    "constant but for less than 1 % of its pixels": "hardly any contrast in the box",
}
"""Reasons of the engine in the words of a user; others are shown as they are."""


def failures(failed, images):
    """Say in one line what is NaN, and why.

    Parameters
    ----------
    failed : list of dict
        As the engine reports them: ``object_number``, ``channel`` (from 0), ``reason``.
    images : list of str
        Names of the channels.

    Returns
    -------
    str
        Blank if nothing failed.
    """
    if not failed:
        return ""
    reason, count = collections.Counter(item["reason"] for item in failed).most_common(1)[0]
    channels = sorted({item["channel"] for item in failed if item["reason"] == reason})
    others = " and %d for other reasons" % (len(failed) - count) if count < len(failed) else ""
    shown = ", ".join(images[channel] for channel in channels)
    return "%d NaN%s: %s (%s)" % (count, others, REASONS.get(reason, reason.replace("`", "")), shown)


def image_panel(images, channels, features, note=""):
    """Prepare what is drawn of whole images.

    Parameters
    ----------
    images : list of str
        Names of the channels.
    channels : numpy.ndarray
        Their pixels (c, h, w).
    features : numpy.ndarray
        Their embeddings, one after the other.
    note : str
        What to say about them.

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
        "note": note,
    }


def object_panel(name, images, channels, planes, result, masked, note=""):
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
    note : str
        What to say about the objects.

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
        "count": len(numbers),
        "note": note,
        "crops": numpy.array(crops),
        "numbers": numbers[shown],
        "points": points,
        "shown_points": points[numpy.searchsorted(mapped, shown)],
        "explained": explained,
    }


def draw(figure, panels, words=""):
    """Draw the panels below each other; a single one with its parts below each other.

    Parameters
    ----------
    figure : cellprofiler.gui.figure.Figure
        CellProfiler's window, or anything with its `set_subplots` and `subplot`.
    panels : list of dict
        See `image_panel` and `object_panel`.
    words : str
        What to say when there are none.
    """
    shown = panels[:SHOWN_PANELS]
    figure.set_subplots((1, 2) if len(shown) < 2 else (2, len(shown)))
    if not shown:
        say(figure.subplot(0, 0), words, FONT_SIZES[0][0])
        return
    sizes, channels = FONT_SIZES[len(shown) - 1], SHOWN_CHANNELS[len(shown) - 1]
    for row, panel in enumerate(shown):
        left, right = ((0, 0), (0, 1)) if len(shown) == 1 else ((0, row), (1, row))
        draw_crops(figure.subplot(*left), panel, channels, sizes)
        draw_features = draw_embedding if panel["name"] == IMAGE else draw_map
        draw_features(figure.subplot(*right), panel, channels, sizes)
    if len(panels) > len(shown):
        more = ", ".join(panel["name"] for panel in panels[len(shown) :])
        figure.subplot(1, len(shown) - 1).set_xlabel(short("Not shown: " + more, 50), fontsize=sizes[1])


def short(text, length):
    """Cut a text to a length."""
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def style(axes, title, note, sizes):
    """Give axes their title, the note below, and small texts."""
    axes.set_title(short(title, 48), fontsize=sizes[0])
    axes.tick_params(length=0, labelsize=sizes[1])
    if note:
        axes.set_xlabel(short(note, 62), fontsize=sizes[1], color="#b22222")


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


def say(axes, text, size):
    """Show a text in place of a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=size)


def draw_crops(axes, panel, channels, sizes):
    """Draw the crops as a grid, one channel per row and one object per column; whole images side by side."""
    whole = panel["name"] == IMAGE
    names = panel["channels"][:channels]
    crops = panel["crops"][:, :channels]
    crops = crops if whole else crops.swapaxes(0, 1)
    rows, columns, size = crops.shape[:3]
    step, wide = size + size // 12, size + size // (2 if channels == SHOWN_CHANNELS[-1] else 12)
    sheet = numpy.full((rows * step, columns * wide), numpy.nan)
    for row in range(rows):
        for column in range(columns):
            sheet[row * step : row * step + size, column * wide : column * wide + size] = crops[row, column]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([column * wide + size / 2 for column in range(columns)])
    axes.set_xticklabels([short(name, 30 // columns) for name in names] if whole else panel["numbers"])
    axes.xaxis.tick_top()
    axes.set_yticks([] if whole else [row * step + size / 2 for row in range(rows)])
    axes.set_yticklabels([] if whole else [short(name, 10) for name in names])
    left_out = len(panel["channels"]) - len(names)
    more = ", %d more channels" % left_out if left_out else ""
    title = "Whole images" if whole else "%s by number" % short(panel["name"], 24)
    style(axes, title + more, panel["note"], sizes)
    if not whole:
        for label, color in zip(axes.get_xticklabels(), COLORS):
            label.set_color(color)
            label.set_fontweight("bold")
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_map(axes, panel, channels, sizes):
    """Draw the first two principal components of the embeddings; the objects whose crops are shown in their colors."""
    points, shown = numpy.asarray(panel["points"]), numpy.asarray(panel["shown_points"])
    if not numpy.isfinite(points).any():
        few = "A map needs three objects or more."
        say(axes, few if panel["count"] < 3 else "No map: too few objects\nwere measured in all channels.", sizes[1])
        return
    axes.scatter(points[:, 0], points[:, 1], s=12, color="0.65", linewidths=0)
    axes.scatter(shown[:, 0], shown[:, 1], s=36, color=COLORS[: len(shown)], edgecolors="black", linewidths=0.6)
    explained = "%.0f and %.0f %% of the variance" % tuple(100 * share for share in panel["explained"])
    style(axes, "Map of %d objects, %s" % (panel["count"], explained), "", sizes)
    axes.margins(0.08)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_embedding(axes, panel, channels, sizes):
    """Draw the embedding of the whole image, one strip per channel."""
    names = panel["channels"][:channels]
    axes.imshow(panel["embedding"][: len(names)], aspect="auto", cmap="viridis", interpolation="nearest")
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([short(name, 10) for name in names])
    last = panel["embedding"].shape[1] - 1
    axes.set_xticks(sorted({round(last * part / 4) for part in range(5)}))
    style(axes, "Embedding of the whole images, E000 to E%03d" % last, "", sizes)
