"""ImageJ and Fiji: the plugin (java/, built as Microsnoop_.jar), and functions for Python with an ImageJ gateway.

Examples
--------
>>> from fiji_bridge import measure, show
>>> frame = measure(ij, imp, rois="overlay")
>>> show(ij, frame)
"""

from typing import Any

__all__ = ["measure", "show"]


def __getattr__(name: str) -> Any:
    # roi.py is used without ImageJ and without what the two functions import
    if name in __all__:
        from . import measuring, showing

        return getattr(measuring if name == "measure" else showing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
