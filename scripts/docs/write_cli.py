"""Write the reference page of the command line from its argparse parser."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

HEAD = """\
# Command line

`microsnoop COMMAND --help` prints the same text. Exit codes of every command: 0 done; 1 bad input, or a part could not
be measured; 2 wrong usage.
"""


def cli_page() -> str:
    """Return the page as Markdown: a table of the commands, then a section for each."""
    parser = _parser()
    commands = dict(_commands(parser))
    rows = [f"| [`{name}`](#{_anchor(command)}) | {_text(summary)} |" for name, (command, summary) in commands.items()]
    parts = [HEAD, "\n".join(["| command | purpose |", "|---|---|", *rows, ""])]
    for command, summary in commands.values():
        parts += _section(command, summary, "##")
    return "\n".join(parts)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, without PyTorch."""
    sys.path.insert(0, str(REPOSITORY))
    package = (REPOSITORY / "microsnoop_engine" / "cli" / "main.py").is_file()
    main = import_module("microsnoop_engine.cli.main" if package else "microsnoop_engine.cli")
    return (getattr(main, "parser", None) or main.build_parser)()


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[argparse.ArgumentParser, str]]]:
    """Yield name, parser and summary of each sub-command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield name, (command, summaries.get(name, ""))


def _section(parser: argparse.ArgumentParser, summary: str, heading: str) -> Iterator[str]:
    """Yield the section of a command and those of its sub-commands."""
    yield f"{heading} {parser.prog}\n"
    yield f"{_text(parser.description or _sentence(summary))}\n"
    subcommands = list(_commands(parser))
    if not subcommands:
        yield f"```text\n{_usage(parser)}\n```\n"
        for group in parser._action_groups:
            actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
            if actions:
                yield from _table(group.title or "", actions)
    if parser.epilog:
        raw = isinstance(parser.formatter_class, type) and issubclass(
            parser.formatter_class, argparse.RawDescriptionHelpFormatter
        )
        yield f"```text\n{parser.epilog.rstrip()}\n```\n" if raw else f"{_text(parser.epilog)}\n"
    for _, (command, text) in subcommands:
        yield from _section(command, text, f"{heading}#")


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter, parser.formatter_class = parser.formatter_class, partial(argparse.HelpFormatter, width=90)
    parser.color = False  # Python 3.14 colors it on a terminal
    label = "usage: "
    lines = parser.format_usage().rstrip().removeprefix(label).splitlines()
    parser.formatter_class = formatter
    return "\n".join([lines[0], *(line[len(label) :] for line in lines[1:])])


def _table(title: str, actions: list[argparse.Action]) -> Iterator[str]:
    titles = {"positional arguments": "Arguments", "options": "Options", "optional arguments": "Options"}
    yield f"**{_text(titles.get(title, _sentence(title, '')))}**\n"
    rows = [f"| {_name(action)} | {_help(action)} |" for action in actions]
    yield "\n".join(["| name | meaning |", "|---|---|", *rows, ""])


def _name(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else action.metavar or (action.choices and "|".join(map(str, action.choices))) or ""
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        return _code(str(value or action.dest))
    return ", ".join(_code(f"{option} {value}".strip()) for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = _text((action.help or "") % vars(action) if "%(" in (action.help or "") else action.help or "")
    default = action.default
    if action.required or default in (None, False, argparse.SUPPRESS, (), []) or "default" in text:
        return text
    if isinstance(default, tuple | list):
        default = ",".join(map(str, default))
    separator = "; " if text else ""
    return f"{text}{separator}default: {_code(str(default))}"


def _sentence(text: str, end: str = ".") -> str:
    return f"{text[:1].upper()}{text[1:]}{end}" if text else ""


def _text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup; options become code."""
    text = " ".join(text.replace("``", "`").split())
    text = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    return re.sub(r"(?<![\w`])(--[a-z][\w-]*)", lambda match: f"`{match[1]}`", text)


def _code(text: str) -> str:
    return f"`{text}`"  # Python-Markdown keeps a bar inside code within its cell


def _anchor(parser: argparse.ArgumentParser) -> str:
    return parser.prog.replace(" ", "-")


if __name__ == "__main__":
    print(cli_page())
