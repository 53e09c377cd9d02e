"""What holds for the whole tree: locks that fit, no trace of a machine, documents that say what is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import lock

ROOT = lock.ROOT
ROOMS = ("runtime", "protocols", "actors", "adapters", "config", "clients", "bench", "tests")


def _tracked() -> list[Path]:
    """The project's files: what git knows, or in an unpacked archive all that is no product of a tool."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        products = {"__pycache__", "node_modules", "dist", "build"}
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(
                part in products or (part.startswith(".") and part not in {".ci", ".gitignore"})
                for part in path.relative_to(ROOT).parts
            )
        ]
    return [path for path in paths if path.is_file()]


def _texts() -> list[tuple[str, str]]:
    texts = []
    for path in _tracked():
        try:
            texts.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return texts


def _python_files() -> list[tuple[str, str]]:
    return [(name, text) for name, text in _texts() if name.endswith(".py")]


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


IMPORTED_AS = {"bson": "pymongo", "jwt": "pyjwt", "lc3": "lc3py", "nacl": "pynacl"}
SHARED = {"opentelemetry": {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}}
"""Packages that several distributions put their modules into."""


def _direct_dependencies() -> set[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *document["project"]["dependencies"],
        *document["dependency-groups"]["test"],
        *document["dependency-groups"]["bench"],
    ]
    return {re.split(r"[<>=!~;\[ ]", requirement)[0] for requirement in wanted}


def _imported(text: str) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


# ---------------------------------------------------------------------------------------------------------
# Dependencies and lock files


def test_program_declares_exactly_what_it_imports() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = (document["project"]["dependencies"], document["dependency-groups"]["bench"])
    program, bench = ({re.split(r"[<>=!~;]", each)[0] for each in group} for group in groups)
    rooms = set(ROOMS) - {"tests"}
    texts = [text for name, text in _python_files() if name.partition("/")[0] in rooms]
    imported = {name for text in texts for name in _imported(text)} - sys.stdlib_module_names - set(ROOMS)

    owners = [SHARED.get(name, {IMPORTED_AS.get(name, name.replace("_", "-"))}) for name in imported]

    assert program | bench == set().union(*owners)


def test_lock_files_were_made_from_todays_dependencies() -> None:
    assert lock.stale_locks() == []


@pytest.mark.parametrize("package", ["httpx", "pytest", "pykka"])
def test_a_changed_dependency_makes_every_lock_file_stale(tmp_path: Path, package: str) -> None:
    for name in ("pyproject.toml", *lock.LOCKS):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    project = tmp_path / "pyproject.toml"
    project.write_text(
        project.read_text(encoding="utf-8").replace(f'"{package}>=', f'"{package}>=9', 1), encoding="utf-8"
    )

    assert lock.stale_locks(tmp_path) == list(lock.LOCKS)


@pytest.mark.parametrize("name", [lock.TEST_LOCK, lock.BENCH_LOCK])
def test_other_locks_hold_the_runtime_versions(name: str) -> None:
    runtime, larger = _pins(lock.RUNTIME_LOCK), _pins(name)

    assert len(runtime) > 20
    assert runtime == {package: version for package, version in larger.items() if package in runtime}


@pytest.mark.parametrize("name", lock.LOCKS)
def test_every_locked_version_has_hashes(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9-]+==)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]

    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", lock.LOCKS)
def test_lock_names_no_place_to_download_from(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if "://" in line or line.startswith(("-", "file:")) or " @ " in line] == []


# ---------------------------------------------------------------------------------------------------------
# No trace of a machine or a registry

_TRACES = {
    # Written in two halves, so that this file does not find itself.
    "index option": re.compile("(?:extra-)?" + "index-" + "url"),
    "links option": re.compile("--find" + "-links"),
    "registry address": re.compile(
        r"https?://[^\s\"'<>)]*" + r"(?:/simple\b|registry\.npm|files\.pythonhosted)"
    ),
    "resolved address": re.compile('"resolved"' + r":\s*\"https?:"),
    "home folder": re.compile(r"(?<![\w.:/-])/(?:home|Users)/" + r"[a-z][\w-]*/|(?<![\w.:/-])/root" + "/"),
}


def _traces(text: str) -> list[str]:
    found = [name for name, pattern in _TRACES.items() if pattern.search(text)]
    # Where this very checkout lies. A folder of the file system's root ("/src/") is no telling name.
    parent = ROOT.parent
    if len(parent.parts) > 1 and re.search(re.escape(f"{parent}/") + r"\w", text):
        found.append(f"path of this machine: {parent}")
    return found


def test_tree_names_no_registry_and_no_path_of_a_machine() -> None:
    assert {name: traces for name, text in _texts() if (traces := _traces(text))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "--" + "index-" + "url https://mirror.example",
        "--find" + "-links /wheels",
        "at /home" + "/ada/src",
        "/root" + "/x",
    ],
)
def test_a_trace_is_found(text: str) -> None:
    assert _traces(text)


# ---------------------------------------------------------------------------------------------------------
# House rules that no linter has


def test_no_file_is_too_long_for_one_idea() -> None:
    assert {name: n for name, text in _python_files() if (n := text.count("\n")) > 600} == {}


def test_names_of_files_say_something() -> None:
    vague = re.compile(r"(?:^|/)(?:utils?|helpers?|common|misc|base|managers?)(?:\.py|/)")

    assert [name for name, _ in _texts() if vague.search(name)] == []


def test_nothing_is_left_unfinished_or_excused() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", r"pragma: no" + " cover")))

    assert [name for name, text in _python_files() if marks.search(text)] == []


def test_no_test_in_real_time_sleeps_for_effect() -> None:
    # Elsewhere trio's clock is virtual, and a sleep is a moment of it.
    in_real_time = [(name, text) for name, text in _python_files() if name.startswith("tests/system/")]
    sleeping = re.compile(r"trio\.sleep\((?:0\.[5-9]|[1-9])|time\.sleep\(")

    assert [name for name, text in in_real_time if sleeping.search(text)] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [Path(name).name for name, _ in _python_files() if Path(name).name.startswith("test_")]

    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_package_says_what_it_is_for() -> None:
    packages = [
        (name, text)
        for name, text in _python_files()
        if name.endswith("/__init__.py") and name.split("/")[0] in ROOMS and not name.startswith("tests/")
    ]

    assert [name for name, text in packages if not text.startswith(('"""', 'r"""'))] == []


# ---------------------------------------------------------------------------------------------------------
# Documents


def test_every_dependency_has_its_row() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    today = text.split("\n## Later", 1)[0]

    assert _direct_dependencies() == set(re.findall(r"^\| `([a-z0-9-]+)` \|", today, flags=re.MULTILINE))


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"

    assert "exec ./run test" in script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o100
    assert (ROOT / "run").stat().st_mode & 0o100


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for name, text in _texts():
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                broken.append(f"{name}: {target}")

    assert broken == []
