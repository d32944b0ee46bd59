"""Write ND2 files of version 3 by hand: no library writes them."""

import struct

import numpy as np

_MAGIC = 0x0ABECEDA
_TIME, _POSITIONS, _DEPTH = 1, 2, 4


def _entry(name, value):
    """A named value as ND2 stores it: its type, its name and itself."""
    encoded = (name + "\0").encode("utf-16-le")
    if isinstance(value, dict):
        items = b"".join(_entry(*item) for item in value.items())
        length = 2 + len(encoded) + 12 + len(items)
        body = struct.pack("<IQ", len(value), length) + items
        return struct.pack("BB", 11, len(name) + 1) + encoded + body + bytes(8 * len(value))
    kind, body = {
        bool: lambda: (1, struct.pack("?", value)),
        int: lambda: (3, struct.pack("<I", value)),
        float: lambda: (6, struct.pack("<d", value)),
        str: lambda: (8, (value + "\0").encode("utf-16-le")),
    }[type(value)]()
    return struct.pack("BB", kind, len(name) + 1) + encoded + body


def write_nd2(path, array, names, pixel_size=0.325, lost=()):
    """Write a file.

    Parameters
    ----------
    path : Path
    array : array (t, p, z, c, h, w), uint16
        Time, position, depth, channel.
    names : sequence of str
        Of the channels.
    pixel_size : float
        In micrometers.
    lost : sequence of int
        Frames that were not acquired, in the order of time, position and depth.
    """
    times, positions, depths, channels, height, width = array.shape
    frames = array.reshape(-1, channels, height, width)
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": width * 2 * channels,
        "uiHeight": height,
        "uiComp": channels,
        "uiBpcInMemory": 16,
        "uiBpcSignificant": 16,
        "uiSequenceCount": len(frames),
    }
    probe = {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}}
    planes = {
        f"a{n}": {"uiCompCount": 1, "uiSampleIndex": n, "sDescription": name, "pFluorescentProbe": probe}
        for n, name in enumerate(names)
    }
    metadata = {
        "bCalibrated": True,
        "dCalibration": pixel_size,
        "sPicturePlanes": {"uiCount": channels, "sPlaneNew": planes},
    }
    points = {f"i{n:010}": {"dPosX": 100.0 * n, "dPosY": 0.0, "dPosName": f"P{n}"} for n in range(positions)}
    loops = [
        (_TIME, times, {"uiCount": times, "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}),
        (_POSITIONS, positions, {"uiCount": positions, "Points": points}),
        (_DEPTH, depths, {"uiCount": depths, "dZStep": 1.0}),
    ]
    experiment = {}
    for kind, count, parameters in reversed(loops):
        if count > 1:
            inner = {"ppNextLevelEx": {"i0000000000": experiment}} if experiment else {}
            experiment = {"eType": kind, "uLoopPars": parameters, **inner}
    chunks = {
        "ImageAttributesLV!": _entry("SLxImageAttributes", attributes),
        "ImageMetadataSeqLV|0!": _entry("SLxPictureMetadata", metadata),
        "CustomData|AcqTimesCache!": np.arange(len(frames), dtype="<f8").tobytes(),
        **({"ImageMetadataLV!": _entry("SLxExperiment", experiment)} if experiment else {}),
        **{
            f"ImageDataSeq|{n}!": struct.pack("<d", float(n)) + np.moveaxis(frame, 0, -1).tobytes()
            for n, frame in enumerate(frames)
            if n not in lost
        },
    }
    data = bytearray(struct.pack("<IIQ32s64s", _MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0"))
    entries = b""
    for name, content in chunks.items():
        data += bytes(-len(data) % 4096)
        entries += name.encode() + struct.pack("<QQ", len(data), len(content))
        # pixels lie 4096 bytes behind the beginning of their chunk, behind the time of 8 bytes
        data += struct.pack("<IIQ", _MAGIC, 4072, len(content)) + name.encode().ljust(4072, b"\0") + content
    data += bytes(-len(data) % 4096)
    start = len(data)
    entries += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start)
    data += struct.pack("<IIQ", _MAGIC, 32, len(entries)) + b"ND2 FILEMAP SIGNATURE NAME 0001!" + entries
    path.write_bytes(data)
    return path
