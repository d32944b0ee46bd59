"""Match the paths of image files with a pattern such as {Plate}/{Well}_s{Site}_{Channel}.tif."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InputError
from .acquisitions.wells import well_name
from .formats import SUFFIXES
from .unicode_names import composed

_NUMBER = (r"\d+?", r"\d+")
_TEXT = (r"[^/]+?", r"[^/]+")
_DIGITS = ("[1-9]", "0[1-9]|[1-3][0-9]|4[0-8]", "00[1-9]|0[1-3][0-9]|04[0-8]")
_LETTERS = "(?:[A-Za-z]|[Aa][A-Fa-f])"
_TIME = r"(?:\d+[ydhms]_?)*\d+[ydhms]?"
_GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_SHAPES: dict[str, tuple[str, str]] = {
    "Well": (f"{_LETTERS}(?:{'|'.join(_DIGITS)})", f"{_LETTERS}(?:{'|'.join(reversed(_DIGITS))})"),
    "Row": (rf"(?:\d{{1,2}}?|{_LETTERS})", rf"(?:\d{{1,2}}|{_LETTERS})"),
    "Column": (r"\d{1,3}?", r"\d{1,3}"),
    "Site": _NUMBER,
    "Plane": _NUMBER,
    "Time": (rf"(?:{_TIME}?)", f"(?:{_TIME})"),
    "Uuid": (_GUID, _GUID),
    "Guid": (_GUID, _GUID),
}
"""What a name in braces fits, as few characters as possible and as many as possible; other names fit any text."""
_EXAMPLES = {
    "Well": "names of wells such as A01",
    "Row": "letters or numbers of rows",
    "Column": "numbers",
    "Site": "numbers",
    "Plane": "numbers",
    "Time": "numbers and times such as 00d02h30m",
    "Uuid": "identifiers of 32 hexadecimal digits",
    "Guid": "identifiers of 32 hexadecimal digits",
}
_IGNORED = ("Uuid", "Guid", "_")
"""Parts that are no metadata: they may differ between the channels of an image set."""


@dataclass(frozen=True)
class PatternMatch:
    """The parts of a path.

    Attributes
    ----------
    values : dict of str to str
        Metadata by name; with ``Channel``, if the pattern has it.
    deeper : str
        Folders between those of the pattern and the file, with a slash at the end; empty if there are none.
    """

    values: dict[str, str]
    deeper: str = ""


class Pattern:
    """A pattern of file paths.

    Parameters
    ----------
    pattern : str
        A path relative to the folder; backslashes are slashes. ``{Name}`` is one or more characters but a slash:
        ``{Well}`` a name of a well (A01 to AF48), ``{Row}`` and ``{Column}`` together one, ``{Site}`` and ``{Plane}`` a
        number, ``{Time}`` a number or a time such as 00d02h30m, ``{Uuid}`` an identifier, which is ignored. ``{_}`` is
        any text and ``*`` any or no text, both ignored; ``**/`` is any number of folders. The suffix stands for all its
        spellings (.tif, .TIF, .tiff, .ome.tif).
    needs_channel : bool
        Refuse a pattern without ``{Channel}``.

    Raises
    ------
    InputError
        If ``{Channel}`` is missing, or a name is no word or occurs twice.

    Examples
    --------
    >>> pattern = Pattern("{Plate}_{Well}_s{Site}_{Channel}.tif")
    >>> pattern.match("My_Screen_7_A01_s2_DNA.tif").values
    {'Plate': 'My_Screen_7', 'Well': 'A01', 'Site': '2', 'Channel': 'DNA'}
    >>> Pattern("r{Row}c{Column}/{Channel}.tif").match("r02c11/DAPI.TIFF").values
    {'Well': 'B11', 'Channel': 'DAPI'}
    """

    def __init__(self, pattern: str, needs_channel: bool = True) -> None:
        self.text = pattern
        text = composed(pattern.replace("\\", "/")).removeprefix("./")
        parts = re.split(r"\{([^{}]*)\}", text)
        self.names = [name for name in parts[1::2] if name != "_"]
        if needs_channel and "Channel" not in self.names:
            raise InputError(
                f"`pattern` '{pattern}' has no {{Channel}}: put it where file names hold the channel, or pass "
                "`channel_name` if they hold none"
            )
        for name in self.names:
            if not re.fullmatch(r"[A-Za-z]\w*", name) or self.names.count(name) > 1:
                raise InputError(f"`pattern` '{pattern}': '{{{name}}}' must be a word of letters that occurs once")
        self._lazy, self._greedy = (re.compile(_expression(parts, greedy)) for greedy in (False, True))
        self._deeper = None if "**" in text else re.compile(_expression(parts, False, deeper=True))
        self._loose = re.compile(_expression(parts, False, loose=True))

    def match(self, path: str) -> PatternMatch | None:
        """Take a path apart.

        Parameters
        ----------
        path : str
            Relative to the folder, with slashes.

        Returns
        -------
        PatternMatch or None
            None if the path does not fit. Folders more than the pattern has may lie above the file.

        Raises
        ------
        InputError
            If the path fits in more than one way.
        """
        path = composed(path)
        found = self._lazy.fullmatch(path)
        if found is None:
            found = self._deeper.fullmatch(path) if self._deeper else None
            return PatternMatch(_values(found), found["_deeper"]) if found else None
        other = self._greedy.fullmatch(path)
        values = _values(found)
        if other and _values(other) != values:
            readings = [_reading(values), _reading(_values(other))]
            raise InputError(
                f"`pattern` '{self.text}' fits '{path}' in more than one way; write more of the name into it:\n"
                f"  {readings[0]}\n  {readings[1]}"
            )
        return PatternMatch(values)

    def why_not(self, paths: Iterable[str]) -> str:
        """Explain which named part keeps paths from fitting; empty if none alone does."""
        for path in paths:
            found = self._loose.fullmatch(composed(path))
            for name, value in (found.groupdict() if found else {}).items():
                if name in _SHAPES and not re.fullmatch(_SHAPES[name][1], value):
                    return f"; {{{name}}} fits {_EXAMPLES[name]}, not '{value}': use another name in braces"
        return ""


def _expression(parts: list[str], greedy: bool, deeper: bool = False, loose: bool = False) -> str:
    """Turn literal text (even places) and names (odd places) into a regular expression."""
    last = len(parts) - 1
    pieces = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            stem, suffix = _split_suffix(part) if number == last else (part, "")
            pieces.append(_literal(stem, greedy) + suffix)
        else:
            shape = _TEXT if loose else _SHAPES.get(part, _TEXT)
            pieces.append(shape[greedy] if part == "_" else f"(?P<{part}>{shape[greedy]})")
    if not deeper:
        return "".join(pieces)
    # the last slash of the pattern: in a literal part, as names have none
    for number in range(last, -1, -2):
        head, slash, tail = pieces[number].rpartition("/") if "/" in parts[number] else ("", "", "")
        if slash:
            pieces[number] = f"{head}/(?P<_deeper>(?:[^/]+/)+){tail}"
            return "".join(pieces)
    return "(?P<_deeper>(?:[^/]+/)+)" + "".join(pieces)


def _literal(text: str, greedy: bool) -> str:
    """Quote text, in which ``*`` is any text and ``**/`` any number of folders."""
    more = "" if greedy else "?"
    pieces = re.split(r"(\*\*/|\*)", text)
    wild = {"**/": f"(?:[^/]+/)*{more}", "*": f"[^/]*{more}"}
    return "".join(wild.get(piece, re.escape(piece)) for piece in pieces)


def _split_suffix(text: str) -> tuple[str, str]:
    """Split the suffix of an image off the end of a pattern, and turn it into an expression for all its spellings."""
    lower = text.lower()
    suffix = next((each for each in sorted(SUFFIXES, key=len, reverse=True) if lower.endswith(each)), None)
    if suffix is None:
        return text, ""
    stem = text[: -len(suffix)]
    if suffix in (".tif", ".tiff"):
        if stem.lower().endswith(".ome"):
            return stem[:-4], r"(?i:\.ome\.tiff?)"
        return stem, r"(?i:\.ome\.tiff?|(?<!\.ome)\.tiff?)"
    return stem, r"(?i:\.jpe?g)" if suffix in (".jpg", ".jpeg") else f"(?i:{re.escape(suffix)})"


def _values(match: re.Match[str]) -> dict[str, str]:
    """Return the metadata and the channel of a path; row and column become a well."""
    values = {name: value for name, value in match.groupdict().items() if name not in (*_IGNORED, "_deeper")}
    if "Row" in values and "Column" in values and "Well" not in values:
        row, column = values["Row"], values["Column"]
        try:
            well = well_name(int(row) if row.isdecimal() else row, int(column))
        except ValueError as error:
            raise InputError(f"'{match.string}': {error}") from None
        return {
            ("Well" if name == "Row" else name): (well if name == "Row" else value)
            for name, value in values.items()
            if name != "Column"
        }
    return values


def _reading(values: dict[str, str]) -> str:
    return ", ".join(f"{name} '{value}'" for name, value in values.items())
