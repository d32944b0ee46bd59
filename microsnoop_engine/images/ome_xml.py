"""Read the OME-XML of a TIFF file: its images, and where their planes are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from xml.etree import ElementTree

from ..errors import ImageError
from .acquisitions.wells import well_name
from .file_image import FileImage, PlaneNumber, distinct_names

_MICROMETERS = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4}


@dataclass(frozen=True)
class PlaneLocation:
    """Where a plane is.

    Attributes
    ----------
    file : str
        Name of the file; empty for the one with the XML.
    uuid : str
        Of that file; may be empty.
    page : int
        Number of the page in it.
    """

    file: str
    uuid: str
    page: int


@dataclass(frozen=True)
class OmeImage:
    """One image of OME-XML.

    Attributes
    ----------
    image : FileImage
        Without colors, which the pages show.
    planes : dict of PlaneNumber to PlaneLocation
    samples : int
        Samples of each pixel.
    """

    image: FileImage
    planes: dict[PlaneNumber, PlaneLocation] = field(default_factory=dict)
    samples: int = 1


def parse_ome_xml(xml: str, read_metadata_file: Callable[[str], str]) -> tuple[list[OmeImage], str]:
    """Parse OME-XML.

    Parameters
    ----------
    xml : str
    read_metadata_file : callable
        Returns the OME-XML of another file, to which this one may refer, by the file's name.

    Returns
    -------
    images : list of OmeImage
    uuid : str
        Of the file with the XML; may be empty.

    Raises
    ------
    ImageError
        If it has axes besides channel, depth and time.
    ValueError, KeyError, ElementTree.ParseError
        If the XML is damaged.
    """
    root = _parse(xml)
    uuid = root.get("UUID", "")
    reference = root.find("BinaryOnly")
    if reference is not None:
        root = _parse(read_metadata_file(reference.attrib["MetadataFile"]))
    modulo = next((each.tag for each in root.iter() if each.tag.startswith("ModuloAlong")), None)
    if modulo:
        raise ImageError(f"has an axis besides channel, depth and time ({modulo}): write each step as its own image")
    wells = _wells(root)
    images = [
        _ome_image(image, uuid, wells.get(image.get("ID", ""), ""))
        for image in root.iter("Image")
        if image.find("Pixels") is not None
    ]
    return images, uuid


def _parse(xml: str) -> ElementTree.Element:
    """Parse XML and drop the name spaces, which differ between versions of OME."""
    root = ElementTree.fromstring(xml.strip().encode())
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _wells(root: ElementTree.Element) -> dict[str, str]:
    """Return the wells of images by their ID, of plates that have such."""
    wells: dict[str, str] = {}
    for well in root.iter("Well"):
        with suppress(ValueError):
            name = well_name(int(well.get("Row", "")) + 1, int(well.get("Column", "")) + 1)
            wells |= {reference.get("ID", ""): name for reference in well.iter("ImageRef")}
    return wells


def _ome_image(element: ElementTree.Element, own_uuid: str, well: str) -> OmeImage:
    pixels = element.find("Pixels")
    assert pixels is not None
    channels = pixels.findall("Channel")
    samples = [int(channel.get("SamplesPerPixel", "1")) for channel in channels]
    size_c, depth, times = (int(pixels.attrib[f"Size{axis}"]) for axis in "CZT")
    # some writers count the samples of a color image as channels of their own
    if sum(samples) < size_c and not (len(channels) == 1 and samples[0] == 1 and size_c in (3, 4)):
        samples += [1] * (size_c - sum(samples))
    names = [channel.get("Name", "") for channel in channels][: len(samples)]
    names += [""] * (len(samples) - len(names))
    order = "".join(axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in "CZT")
    image = FileImage(
        distinct_names(names or ["C1"]),
        depth=depth,
        times=times,
        order=order,
        pixel_size=_pixel_size(pixels, "X"),
        pixel_height=_pixel_size(pixels, "Y"),
        name=element.get("Name", ""),
        well=well,
    )
    most = max(samples, default=1)
    return OmeImage(image, _locations(pixels, image, most, own_uuid), most)


def _pixel_size(pixels: ElementTree.Element, axis: str) -> float | None:
    factor = _MICROMETERS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    size = float(pixels.get(f"PhysicalSize{axis}", "0") or 0)
    return size * factor if factor and size > 0 else None


def _locations(
    pixels: ElementTree.Element, image: FileImage, samples: int, own_uuid: str
) -> dict[PlaneNumber, PlaneLocation]:
    order = image.planes()
    position = {number: n for n, number in enumerate(order)}
    locations: dict[PlaneNumber, PlaneLocation] = {}
    blocks = pixels.findall("TiffData") or [ElementTree.Element("TiffData")]
    for block in blocks:
        reference = block.find("UUID")
        uuid = (reference.text or "").strip() if reference is not None else ""
        file = reference.get("FileName", "") if reference is not None else ""
        if uuid and uuid == own_uuid:
            file = ""
        first = PlaneNumber(*(int(block.get(f"First{axis}", "0")) for axis in "CZT"))
        start = position[first._replace(channel=first.channel // samples)]
        page = int(block.get("IFD", "0"))
        count = int(block.get("PlaneCount", "1" if "IFD" in block.attrib else str(len(order) - start)))
        for n in range(min(count, len(order) - start)):
            locations[order[start + n]] = PlaneLocation(file, uuid, page + n)
    return locations
