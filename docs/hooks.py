"""What the site has beside the pages of this folder: the examples, which lie with their code, and a list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the navigation where `decisions/` stands, and at its end what is not there."""
    nav: list[Any] = config.nav or []
    [decisions] = [page for page in _entries(nav) if page.get("Decisions") == "decisions/"]
    decisions["Decisions"] = [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").glob("*.md"))]
    listed = set(_pages(nav))
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("**/*.md"))
    others = [page for page in pages if page not in listed]
    config.nav = [*nav, {"More": others}] if others else nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add their README files, as pages below `examples/`."""
    for path in sorted(EXAMPLES.glob("**/README.md")):
        if "node_modules" not in path.parts:
            name = f"examples/{path.relative_to(EXAMPLES).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between the two folders, which in the site are one inside the other."""
    if page.file.src_uri.startswith("examples/"):
        return re.sub(r"\]\(((?:\.\./)+)docs/", r"](\1", markdown)
    return re.sub(r"\]\(\.\./((?:\.\./)*)examples/", r"](\1examples/", markdown)


def _entries(nav: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Its entries with a title, at every depth."""
    for entry in nav:
        if isinstance(entry, dict):
            yield entry
            for below in entry.values():
                yield from _entries(below if isinstance(below, list) else ())


def _pages(nav: Iterable[Any]) -> Iterator[str]:
    for entry in nav:
        for below in entry.values() if isinstance(entry, dict) else (entry,):
            yield from (below,) if isinstance(below, str) else _pages(below)
