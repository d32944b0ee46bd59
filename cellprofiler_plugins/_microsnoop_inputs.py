"""Read the pixels and labels of one image set for the engine.

Python 3.8; no packages that CellProfiler lacks: this file runs inside it.
"""

import numpy


def read_channels(image_set, names):
    """Stack the images of an image set as channels of one array.

    Parameters
    ----------
    image_set : cellprofiler_core.image.ImageSet
        Where they are.
    names : list of str
        Their names.

    Returns
    -------
    numpy.ndarray
        Shape (c, h, w), float32; where an image is masked, its least pixel that is not masked.

    Raises
    ------
    ValueError
        If an image is 3-D or in color, or they differ in size.
    """
    channels = []
    for name in names:
        image = image_set.get_image(name)
        if image.volumetric:
            raise ValueError(
                f'The image "{name}" is 3-D; microsnoop measures 2-D images. '
                'Set "Process as 3D?" in NamesAndTypes to No, or project the stacks before.'
            )
        if image.multichannel:
            try:
                image = image_set.get_image(name, must_be_grayscale=True)
            except ValueError as error:
                raise ValueError(
                    f'The image "{name}" is a color image; microsnoop measures grayscale images. '
                    "Split it with ColorToGray and select its channels."
                ) from error
        pixels = numpy.array(image.pixel_data, numpy.float32)
        if image.has_mask:
            kept = pixels[image.mask & numpy.isfinite(pixels)]
            pixels[~image.mask] = kept.min() if kept.size else 0
        if channels and pixels.shape != channels[0].shape:
            raise ValueError(
                f'The images "{names[0]}" ({_size(channels[0])}) and "{name}" ({_size(pixels)}) '
                "differ in size; images measured together must have the same. Resize or crop one of them."
            )
        channels.append(pixels)
    return numpy.stack(channels)


def read_labels(objects, name, channels, image):
    """Read the labels of an object set.

    Parameters
    ----------
    objects : cellprofiler_core.object.Objects
        The object set, with one object or more.
    name : str
        Its name.
    channels : numpy.ndarray
        The images (c, h, w) in which it is to be measured.
    image : str
        Name of the first of them.

    Returns
    -------
    numpy.ndarray
        Shape (p, h, w), int32; more than one plane where objects overlap. The engine takes a single array (h, w) for a
        label image of unknown origin: it refuses numbers that may be no objects, and drops pieces of them. What an
        object is, is CellProfiler's to say.

    Raises
    ------
    ValueError
        If the objects and the images differ in size.
    """
    planes = numpy.stack([labels for labels, _ in objects.get_labels()]).astype(numpy.int32)
    if planes.shape[1:] != channels.shape[1:]:
        raise ValueError(
            f'The objects "{name}" ({_size(planes)}) and the image "{image}" ({_size(channels)}) differ in size. '
            "Measure objects in the images they were found in, or resize the objects."
        )
    return planes


def typical_sizes(objects):
    """Compute the medians of the longer sides and of the areas of objects.

    Parameters
    ----------
    objects : cellprofiler_core.object.Objects
        The object set, with one object or more.

    Returns
    -------
    diameter, area : float
        In pixels.
    """
    from scipy.ndimage import find_objects

    sides, areas = [], []
    for labels, _ in objects.get_labels():
        sides += [max(part.stop - part.start for part in box) for box in find_objects(labels) if box]
        counts = numpy.bincount(labels.ravel())[1:]
        areas += counts[counts > 0].tolist()
    return float(numpy.median(sides)), float(numpy.median(areas))


def _size(array):
    return "%d x %d pixels" % (array.shape[-1], array.shape[-2])
