"""Read settings from YAML with every value as it is written: NO is a channel and 001 a plate."""

from __future__ import annotations

from typing import Any

import yaml

_TRUTH = {"true": True, "True": True, "false": False, "False": False}
_EMPTY = ("", "~", "null")


class _TextLoader(yaml.SafeLoader):
    """YAML whose plain values are text, apart from true, false and nothing, and whose keys are unique."""


def _text(loader: _TextLoader, node: yaml.ScalarNode) -> str | bool | None:
    word = str(node.value)
    if node.style is not None:  # in quotes
        return word
    return None if word in _EMPTY else _TRUTH.get(word, word)


def _mapping(loader: _TextLoader, node: yaml.MappingNode) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"'{key}' is there twice: remove one", key_node.start_mark
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


_TextLoader.yaml_implicit_resolvers = {}
_TextLoader.add_constructor("tag:yaml.org,2002:str", _text)
_TextLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_settings(text: str) -> Any:
    """Return the content of a YAML file.

    Parameters
    ----------
    text : str

    Returns
    -------
    object
        Mappings, lists and values: text, True, False or None.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or a key is there twice.

    Examples
    --------
    >>> load_settings("profile: {channels: [DNA, NO], plate: 001, resume: true}")
    {'profile': {'channels': ['DNA', 'NO'], 'plate': '001', 'resume': True}}
    """
    return yaml.load(text, _TextLoader)
