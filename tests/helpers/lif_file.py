"""Write LIF files by hand: no library writes them."""

import struct
from dataclasses import dataclass, field

import numpy as np

DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4, "λ": 5, "M": 10}


@dataclass
class LifImage:
    """An image of a LIF file.

    Attributes
    ----------
    name : str
        Of the element.
    axes : str
        Of the array, slowest first: of `DIMENSIONS`, C for channels and S for colors.
    array : array
    luts : sequence of str
        Color in which each channel is shown.
    filters : sequence of str
        Filter cube of each channel.
    tags : sequence of int
        1, 2, 3 for the samples of red, green and blue, in the order of the array.
    steps : dict of str to float
        Micrometers from one element of an axis to the next.
    """

    name: str
    axes: str
    array: np.ndarray
    luts: tuple = ("Gray",)
    filters: tuple = ()
    tags: tuple = (0,)
    steps: dict = field(default_factory=lambda: {"X": 0.2, "Y": 0.2})

    def __post_init__(self):
        self.array = np.ascontiguousarray(self.array)

    def offsets(self):
        """Offset of each channel or color."""
        axis = next((n for n, axis in enumerate(self.axes) if axis in "CS"), None)
        return [0] if axis is None else [n * self.array.strides[axis] for n in range(self.array.shape[axis])]

    def xml(self, block):
        offsets, bits = self.offsets(), 8 * self.array.itemsize
        luts, tags = (list(values) * (len(offsets) // len(values)) for values in (self.luts, self.tags))
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="{tag}" Resolution="{bits}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{lut}" IsLUTInverted="0" '
            f'BytesInc="{offset}" BitInc="0"/>'
            for offset, lut, tag in zip(offsets, luts, tags, strict=True)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{DIMENSIONS[axis]}" NumberOfElements="{count}" Origin="0" '
            f'Length="{(count - 1) * self.steps.get(axis, 1) * 1e-6}" Unit="m" BitInc="0" BytesInc="{step}"/>'
            for axis, count, step in zip(self.axes, self.array.shape, self.array.strides, strict=True)
            if axis not in "CS"
        )
        infos = "".join(
            f'<WideFieldChannelInfo LUT="{lut}" ContrastingMethodName="FLUO" FluoCubeName="{cube}"/>'
            for lut, cube in zip(luts, self.filters, strict=False)
        )
        return (
            f'<Element Name="{self.name}" Visibility="1" UniqueID="u{block}"><Data><Image><ImageDescription><Channels>'
            f"{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription>"
            f'<Attachment Name="HardwareSetting">{infos}</Attachment></Image></Data>'
            f'<Memory Size="{self.array.nbytes}" MemoryBlockID="MemBlock_{block}"/><Children/></Element>'
        )


def write_lif(path, images):
    """Write a file of several images."""

    def block(number, data):
        name = f"MemBlock_{number}"
        head = struct.pack("<BqBi", 0x2A, len(data), 0x2A, len(name)) + name.encode("utf-16-le")
        return struct.pack("<ii", 0x70, len(head)) + head + data

    elements = "".join(image.xml(number) for number, image in enumerate(images))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="p" Visibility="1" UniqueID="u"><Memory Size="0" '
        f'MemoryBlockID="MemBlock_{len(images)}"/><Children>{elements}</Children></Element></LMSDataContainerHeader>'
    )
    head = struct.pack("<Bi", 0x2A, len(xml)) + xml.encode("utf-16-le")
    blocks = b"".join(block(number, image.array.tobytes()) for number, image in enumerate(images))
    path.write_bytes(struct.pack("<ii", 0x70, len(head)) + head + blocks + block(len(images), b""))
    return path
