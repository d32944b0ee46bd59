"""Read OME-TIFF, of one file or of several that hold the planes of the same images."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import ImageError, counted
from ..storage.paths import MISSING, is_remote, open_header, open_whole, path_kind, read_bytes
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber
from .ome_xml import OmeImage, PlaneLocation, parse_ome_xml
from .tiff_pages import as_shown, check_complete, color_names, is_left_out
from .transparency import without_alpha


class OmeTiff(ImageFile):
    """An open OME-TIFF file. See `file_image.ImageFile`.

    Parameters
    ----------
    path : Path
    tiff : tifffile.TiffFile
        Open; with OME-XML.

    Raises
    ------
    ImageError
        If the XML cannot be used, or contradicts the pages.
    """

    def __init__(self, path: Path, tiff: Any) -> None:
        self._path, self._tiff = path, tiff
        self._ome, self._uuid = parse_ome_xml(tiff.ome_metadata, self._metadata_of)
        # a single file that was renamed still has its old name in the XML
        files = {location.file for each in self._ome for location in each.planes.values()}
        if len(files) == 1 and not self._uuid:
            self._ome = [replace(each, planes=_in_this_file(each)) for each in self._ome]
            files = {""}
        several = bool(files - {"", path.name})
        self._check_surplus()
        self.images = [self._with_colors(each) for each in self._ome]
        if several:
            members = {where.uuid or where.file for each in self._ome for where in each.planes.values()}
            self.homes = [_home(each) for each in self._ome] if len(self._ome) > 1 else [""]
            self.set_identity = " ".join([str(path.parent), *sorted(members)])
            places = [
                (location.page, image, number)
                for image, each in enumerate(self._ome)
                for number, location in each.planes.items()
                if self._is_own(location)
            ]
            self.own = [(image, number) for _, image, number in sorted(places)]

    def close(self) -> None:
        """See `file_image.ImageFile`."""
        self._tiff.close()

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        location = self._ome[image].planes.get(number)
        what = f"channel {number.channel}, depth {number.plane}, time {number.time} of image {image}"
        if location is None:
            raise ImageError(f"lacks a plane that its metadata announce: {what}", self._path)
        if self._is_own(location):
            return self._read_page(self._tiff, self._path, location.page, image, intensities)
        import tifffile

        path = self._member(location)
        with tifffile.TiffFile(open_whole(path)) as tiff:
            return self._read_page(tiff, path, location.page, image, intensities)

    def _is_own(self, location: PlaneLocation) -> bool:
        # the UUID of this file is a blank name; another one is that of a file whose name this one took
        return not location.file or (
            location.file == self._path.name and not (location.uuid and self._uuid and location.uuid != self._uuid)
        )

    def _check_surplus(self) -> None:
        """Refuse planes that the XML does not name; smaller pages are previews or lower resolutions."""
        pages = self._tiff.pages
        named = {where.page for each in self._ome for where in each.planes.values() if self._is_own(where)}
        others = [pages[n].aspage() for n in range(len(pages)) if n not in named] if named else []
        shapes = {pages[n].aspage().shape for n in named if n < len(pages)} if others else set()
        if any(page.shape in shapes and not is_left_out(page) for page in others):
            raise ImageError(
                f"holds {counted(len(pages), 'pages')}, of which its OME-XML names {len(named)} as planes: write it "
                "again as OME-TIFF with all its planes, or as TIFF without OME-XML",
                self._path,
            )

    def _with_colors(self, each: OmeImage) -> FileImage:
        own = next((where for where in each.planes.values() if self._is_own(where)), None)
        if own is None or own.page >= len(self._tiff.pages):
            return each.image
        colors = color_names(self._tiff.pages[own.page].aspage(), self._path)
        # some writers do not say that a picture has colors
        if colors and each.samples == 1 and (colors != COLORS or len(each.image.channels) > 1):
            raise ImageError(
                f"holds {len(colors)} samples per pixel where its OME-XML says one: write each channel as a plane of "
                "its own",
                self._path,
            )
        return replace(each.image, colors=colors)

    def _read_page(self, tiff: Any, path: Path, number: int, image: int, intensities: bool) -> NDArray[Any]:
        if number >= len(tiff.pages):
            raise ImageError(
                f"is incomplete: it has {counted(len(tiff.pages), 'pages')}, and page {number} is needed", path
            )
        page = tiff.pages[number].aspage()
        check_complete(page, tiff.filehandle.size, path)
        plane = as_shown(page.asarray(), page.axes, page, intensities)
        colors = self.images[image].colors
        if plane.ndim == 2:
            return plane
        plane = without_alpha(plane, len(colors) or 1, path)
        return plane if colors else plane[0]

    def _member(self, location: PlaneLocation) -> Path:
        """Return the path of another file of the set, which may have been renamed."""
        path = self._path.parent / location.file
        there = path_kind(path) == "file"
        uuid = _uuid_in(path) if there and location.uuid else ""
        if there and uuid in ("", location.uuid):
            return path
        if location.uuid and not is_remote(path):
            for other in sorted(self._path.parent.glob("*.tif*")):
                if _uuid_in(other) == location.uuid:
                    return other
        if there:
            raise ImageError(f"does not belong to '{self._path.name}': its UUID is {uuid}, not {location.uuid}", path)
        raise ImageError(f"{MISSING}; it holds planes of '{self._path.name}'", path)

    def _metadata_of(self, name: str) -> str:
        """Return the OME-XML of the file to which this one refers."""
        path = self._path.parent / name
        if path_kind(path) != "file":
            raise ImageError(f"{MISSING}; it holds the metadata of '{self._path.name}'", path)
        if path.suffix.lower() not in (".tif", ".tiff", ".btf"):
            return read_bytes(path).decode()
        import tifffile

        with open_header(path) as file, tifffile.TiffFile(file) as tiff:
            return str(tiff.ome_metadata)


def _home(each: OmeImage) -> str:
    """Return the name of the file with the first plane of an image; empty if it is the one that is open."""
    return each.planes[min(each.planes)].file if each.planes else ""


def _in_this_file(each: OmeImage) -> dict[PlaneNumber, PlaneLocation]:
    return {number: replace(location, file="") for number, location in each.planes.items()}


def _uuid_in(path: Path) -> str:
    """Return the UUID in the OME-XML of a TIFF file; empty if there is none."""
    import tifffile

    try:
        with open_header(path) as file, tifffile.TiffFile(file) as tiff:
            match = re.search(r"<(?:\w+:)?OME\b[^>]*\bUUID=\"([^\"]*)\"", tiff.ome_metadata or "")
    except tifffile.TiffFileError:
        return ""
    return match[1] if match else ""
