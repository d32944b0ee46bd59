"""MkDocs hooks: write the generated reference pages, and resolve links that leave docs/."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from write_cli import cli_page
from write_training_settings import training_settings_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

PAGES = {"reference/cli.md": cli_page, "reference/training-settings.md": training_settings_page}
PICTURES = (".png", ".jpg", ".svg")
_LINK = re.compile(r"\]\((?P<path>\.\./[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated from the code."""
    for name, write in PAGES.items():
        files.append(File.generated(config, name, content=write()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to files outside docs/ at the repository, and copy pictures from there into the site.

    In the sources these links are relative, so that they also work where the Markdown itself is read.

    Raises
    ------
    PluginError
        If there is no such file.
    """
    docs = Path(config.docs_dir)
    repository = docs.parent

    def resolve(match: re.Match[str]) -> str:
        folder = docs / Path(page.file.src_uri).parent
        target = Path(os.path.normpath(folder / match["path"]))
        if target.is_relative_to(docs):
            return match[0]
        if not target.exists() or not target.is_relative_to(repository):
            raise PluginError(f"{page.file.src_uri}: there is no file '{match['path']}'")
        name = target.relative_to(repository).as_posix()
        if target.suffix in PICTURES:
            picture = f"images/repository/{name}"
            if files.get_file_from_path(picture) is None:
                files.append(File.generated(config, picture, abs_src_path=str(target)))
            return f"]({os.path.relpath(docs / picture, folder)})"
        kind = "tree" if target.is_dir() else "blob"
        return f"]({config.repo_url}/{kind}/main/{name}{match['anchor'] or ''})"

    return _LINK.sub(resolve, markdown)
