"""Measure in ImageJ and Fiji: the plugin (java/, built as Microsnoop_.jar), and functions for Python.

Examples
--------
>>> from fiji_bridge import measure, show
>>> frame = measure(ij, imp, rois="overlay")  # doctest: +SKIP
>>> show(ij, frame)  # doctest: +SKIP
"""

from typing import Any

__all__ = ["measure", "show"]


def __getattr__(name: str) -> Any:
    # imported when used: the plugin's jar is found without pandas and a Java virtual machine
    if name in __all__:
        from . import measuring, showing

        return getattr(measuring if name == "measure" else showing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
