"""Write TIFF files byte by byte, as microscopes and slide scanners lay them out and as no library writes them."""

import struct

import numpy as np

SHORT, LONG, RATIONAL, FLOAT = 3, 4, 5, 11
_SIZES = {1: 1, 2: 1, SHORT: 2, LONG: 4, RATIONAL: 8, FLOAT: 4}


def write_tiff(path, pages, wide=False):
    """Write little-endian TIFF.

    Parameters
    ----------
    path : Path
    pages : list of (list of array, dict)
        The strips of a page, each a plane (h, w) or (h, w, 3), and further tags: code to (type, count, bytes).
    wide : bool
        Directories as those of NDPI: offsets of the next one have 8 bytes, and the upper halves of the values follow.
    """
    data = bytearray(b"II*\0" + bytes(8 if wide else 4))
    link = 4
    for strips, further in pages:
        first = strips[0]
        offsets = []
        for strip in strips:
            offsets.append(len(data))
            data += np.ascontiguousarray(strip).tobytes()
        samples = first.shape[2] if first.ndim == 3 else further.pop("samples", 1)
        tags = {
            256: (LONG, 1, struct.pack("<I", first.shape[1])),
            257: (LONG, 1, struct.pack("<I", first.shape[0])),
            258: (SHORT, samples, struct.pack("<H", first.itemsize * 8) * samples),
            259: (SHORT, 1, struct.pack("<H", 1)),
            262: (SHORT, 1, struct.pack("<H", 2 if first.ndim == 3 else 1)),
            273: (LONG, len(strips), struct.pack(f"<{len(strips)}I", *offsets)),
            277: (SHORT, 1, struct.pack("<H", samples)),
            278: (LONG, 1, struct.pack("<I", first.shape[0])),
            279: (LONG, len(strips), struct.pack(f"<{len(strips)}I", *[strip.nbytes for strip in strips])),
            284: (SHORT, 1, struct.pack("<H", 2 if samples > 1 and first.ndim == 2 else 1)),
            **further,
        }
        entries = b""
        for code, (kind, count, value) in sorted(tags.items()):
            if len(value) > 4:
                value, start = struct.pack("<I", len(data)), value
                data += start
            entries += struct.pack("<HHI", code, kind, count) + value.ljust(4, b"\0")
        data += bytes(len(data) % 2)
        struct.pack_into("<Q" if wide else "<I", data, link, len(data))
        link = len(data) + 2 + len(entries)
        data += struct.pack("<H", len(tags)) + entries + bytes(8 + 4 * len(tags) if wide else 4)
    path.write_bytes(data)
    return path
