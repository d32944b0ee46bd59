"""Group the planes of an acquisition into image sets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ...errors import InputError
from ..image_set import ImageSet, Metadata, PlaneSource, typed_metadata
from ..left_out import LeftOut

log = logging.getLogger(__name__)

MISSING = "named by the index of the instrument, but not there"


@dataclass(frozen=True)
class AcquiredPlane:
    """One image file of an instrument: one channel of one field at one depth and time.

    Attributes
    ----------
    path : PurePath
        Relative to the folder of the input.
    acquisition : PurePath
        Folder of the measurement that it belongs to.
    plate, well, site : str
        ``well`` as ``A01`` where row and column are known.
    channel : str
    plane, time : str, optional
        As the instrument numbers them.
    further : mapping of str to str
        Other numbers that tell fields apart, such as the loop or the job.
    pixel_size : float, optional
        In micrometers.
    """

    path: PurePath
    acquisition: PurePath
    plate: str
    well: str
    site: str
    channel: str
    plane: str | None = None
    time: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)
    pixel_size: float | None = None

    def place(self) -> tuple[tuple[str, str], ...]:
        """Return what all channels of one image set share, as names and values."""
        values = {
            "Acquisition": self.acquisition.as_posix(),
            "Plate": self.plate,
            "Well": self.well,
            "Site": self.site,
            **self.further,
            "Plane": self.plane or "",
            "Time": self.time or "",
        }
        return tuple(values.items())


@dataclass
class Acquisition:
    """What a reader of a layout found in a folder.

    Attributes
    ----------
    planes : list of AcquiredPlane
    left_out : list of LeftOut
        Files that the layout knows, and that are no planes to measure; paths relative to the folder.
    """

    planes: list[AcquiredPlane] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def group_planes(
    folder: Path, planes: Sequence[AcquiredPlane], existing: AbstractSet[PurePath]
) -> tuple[list[ImageSet], list[LeftOut]]:
    """Group planes that differ in their channel alone.

    Parameters
    ----------
    folder : Path
        Of the input.
    planes : sequence of AcquiredPlane
    existing : set of PurePath
        The files that are there. A field of which none is there is left out; one of which some are there is kept, and
        fails when it is measured.

    Returns
    -------
    image_sets : list of ImageSet
        In the order of plates, wells, sites, planes and times. Metadata: Plate, Well, Site; Plane, Time and further
        numbers if they differ within the input; Acquisition (a folder) if a plate was measured several times; PixelSize
        in micrometers, if it is known.
    left_out : list of LeftOut

    Raises
    ------
    InputError
        If two files are the same plane.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[str, AcquiredPlane]] = {}
    for plane in planes:
        group = groups.setdefault(plane.place(), {})
        other = group.setdefault(plane.channel, plane)
        if other is not plane:
            where = ", ".join(f"{name} {value}" for name, value in plane.place()[1:] if value)
            raise InputError(
                f"two files are the channel '{plane.channel}' of {where}:\n  '{other.path}'\n  '{plane.path}'\n"
                "Was the well imaged twice, or the file copied? Move what is not to be measured out of the folder"
            )
    left_out = []
    kept = {}
    for place, group in groups.items():
        if any(plane.path in existing for plane in group.values()):
            kept[place] = group
        else:
            left_out += [LeftOut(folder.joinpath(*plane.path.parts), MISSING) for plane in group.values()]
    shown = _shown_names([dict(place) for place in kept])
    channels = {name: None for group in kept.values() for name in sorted(group)}
    order = sorted(kept, key=lambda place: [_natural(value) for _, value in _sorted_place(place)])
    image_sets = []
    for number, place in enumerate(order, start=1):
        group = kept[place]
        sources = {
            name: PlaneSource(folder.joinpath(*group[name].path.parts)) for name in sorted(channels) if name in group
        }
        values = dict(place)
        metadata: dict[str, str | int | float] = {name: values.get(name, "") for name in shown}
        sizes = {plane.pixel_size for plane in group.values() if plane.pixel_size}
        if len(sizes) == 1:
            metadata["PixelSize"] = f"{sizes.pop():.6g}"
        elif sizes:
            log.warning("%s: channels have pixels of %s micrometers", metadata, sorted(sizes))
        image_sets.append(ImageSet(number, sources, {}, metadata))
    _warn_of_incomplete(image_sets, sorted(channels))
    return typed_metadata(image_sets), left_out


def _sorted_place(place: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Move the plate before its acquisitions."""
    return sorted(place, key=lambda item: item[0] != "Plate")


def _natural(text: str) -> tuple[int, int, str]:
    """Order numbers by value, before text."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _shown_names(places: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the metadata that say something."""
    names = dict.fromkeys(name for place in places for name in place)
    acquisitions: dict[str, set[str]] = {}
    for place in places:
        acquisitions.setdefault(place["Plate"], set()).add(place["Acquisition"])
    several = any(len(folders) > 1 for folders in acquisitions.values())
    always = {"Plate", "Well", "Site"}
    return [
        name
        for name in names
        if name in always or (several if name == "Acquisition" else len({place.get(name) for place in places}) > 1)
    ]


def _warn_of_incomplete(image_sets: Sequence[ImageSet], channels: Sequence[str]) -> None:
    """Say how many image sets lack channels that others have."""
    lacking: dict[str, list[Metadata]] = {}
    for image_set in image_sets:
        missing = [name for name in channels if name not in image_set.channels]
        if missing:
            lacking.setdefault(", ".join(missing), []).append(image_set.metadata)
    for names, places in lacking.items():
        example = ", ".join(f"{name} {value}" for name, value in places[0].items())
        log.warning("%d of %d image sets have no channel %s, e.g. %s", len(places), len(image_sets), names, example)


def numbered_names(names: Mapping[str, str]) -> dict[str, str]:
    """Tell channels apart that share a name, by adding the instrument's identifier.

    Parameters
    ----------
    names : mapping of str to str
        Names of channels by identifier; an empty name becomes the identifier.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> numbered_names({"ch1": "Alexa 488", "ch2": "Alexa 488", "ch3": "DAPI", "ch4": ""})
    {'ch1': 'Alexa 488 ch1', 'ch2': 'Alexa 488 ch2', 'ch3': 'DAPI', 'ch4': 'ch4'}
    """
    given = list(names.values())
    return {
        identifier: identifier if not name else f"{name} {identifier}" if given.count(name) > 1 else name
        for identifier, name in names.items()
    }
