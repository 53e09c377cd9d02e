"""The documentation as a site: it is built without a warning, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.system.server import ROOT

BUILD_S = 120
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|<link\b[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon)[^>]*\bhref=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|@import[^;]*//[^;]+|\burl\([\"']?(?:https?:)?//[^)]+"
)


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`mkdocs build --strict`; what it wanted to fetch would fail at a proxy where nobody answers."""
    nowhere = "http://127.0.0.1:1"
    environment = {**os.environ, "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )


def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(tmp_path / "site")

    assert 0 == done.returncode, done.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix(): path for path in tmp_path.glob("site/**/*.html")}
    readers = ("wearing", "tutorials/app-writer", "tutorials/operator", "tutorials/contributor")
    assert {f"{name}/index.html" for name in readers} <= set(pages)
    assert "examples/notes/index.html" in pages
    assert "not included in the" not in done.stderr
    files = [*pages.values(), *tmp_path.glob("site/**/*.css")]
    assert [] == [found[0] for file in files for found in FETCHED.finditer(file.read_text(encoding="utf-8"))]


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](missing.md) [anchor](#nowhere)", encoding="utf-8")
    settings = re.sub(
        r"\n(?:nav|hooks):.*", "\n", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")

    done = build(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))

    assert 1 == done.returncode
    assert "contains a link 'missing.md'" in done.stderr
    assert "'#nowhere'" in done.stderr
