"""Griffe extension: show the Sphinx roles of docstrings, such as :func:`measure`, as plain code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?(?:[\w.]*\.)?(\w+)`")


class Roles(griffe.Extension):
    """Replace roles in the docstring of every object."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = without_roles(obj.docstring.value)


def without_roles(text: str) -> str:
    """Return text with the last name of each role as code.

    >>> without_roles("see :func:`microsnoop_engine.measure`")
    'see `measure`'
    """
    return _ROLE.sub(r"`\1`", text)
