"""`glasshouse demo`, `bench`, `app new`, `app test`, `app run`: other programs of this project, run by name.

They stand above this room and are not imported by it; the process becomes theirs.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import pkgutil
import re
import sys

import click

from config.cli.options import Failed
from config.cli.word import command_word

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}


def become(module: str, words: tuple[str, ...]) -> None:
    """Run `python -m module` with `words` in the place of this process."""
    # -P: the folder that somebody happens to stand in is no place to import from.
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *words])


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def demo(words: tuple[str, ...]) -> None:
    """Show it: a cloud, a captions app and simulated glasses, talking over real sockets in this terminal."""
    become("clients.demo", words)


@click.command("new", context_settings=_PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def app_new(words: tuple[str, ...]) -> None:
    """Write an app to begin with: `glasshouse app new my_app`."""
    become("clients.app_new", words)


@click.command("test", context_settings=_PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def app_test(words: tuple[str, ...]) -> None:
    """Play a scripted wearer against an app: `glasshouse app test FOLDER`."""
    become("clients.app_test", words)


@click.command("run", context_settings=_PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def app_run(words: tuple[str, ...]) -> None:
    """Start an app on this machine's server: `glasshouse app run FOLDER`."""
    become("clients.app_run", words)


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench(words: tuple[str, ...]) -> None:
    """Run a benchmark.

    `glasshouse bench NAME --help` tells of each; without a name they are listed.
    """
    name, *rest = words or ("",)
    known = bench_names()
    if name in ("", "-h", "--help"):
        _list_benches(click.get_current_context(), known)
        return
    if name not in known:
        raise Failed(f"no benchmark is named {name!r}; there are: {', '.join(known) or 'none'}")
    become(f"bench.{name}", tuple(rest))


def _list_benches(context: click.Context, known: list[str]) -> None:
    formatter = context.make_formatter()
    formatter.write_usage(f"{command_word()} bench", "NAME [OPTIONS]")
    with formatter.indentation():
        formatter.write_paragraph()
        formatter.write_text(f"Run a benchmark. {command_word()} bench NAME --help tells more of each.")
    with formatter.section("Benchmarks"):
        formatter.write_dl(
            [(name, _summary_of(name)) for name in known] or [("none", "in this installation")]
        )
    click.echo(formatter.getvalue(), nl=False)


def _summary_of(name: str) -> str:
    """The first sentence of a benchmark's docstring."""
    spec = importlib.util.find_spec(f"bench.{name}")
    if spec is None or spec.origin is None:
        return ""
    with open(spec.origin, encoding="utf-8") as file:
        words = ast.get_docstring(ast.parse(file.read())) or ""
    about = re.sub(r"^`glasshouse bench \w+`: ", "", words.partition("\n\n")[0].replace("\n", " "))
    return about.partition(": ")[0].partition(". ")[0].removesuffix(".") + "."


def bench_names() -> list[str]:
    """The benchmarks: public modules of `bench`, or packages that can be run."""
    found = importlib.util.find_spec("bench")
    names = []
    for module in pkgutil.iter_modules(found.submodule_search_locations if found else None):
        spec = importlib.util.find_spec(f"bench.{module.name}" + (".__main__" if module.ispkg else ""))
        if not module.name.startswith("_") and spec is not None and spec.origin and _is_program(spec.origin):
            names.append(module.name)
    return sorted(names)


def _is_program(path: str) -> bool:
    with open(path, encoding="utf-8") as file:
        return path.endswith("__main__.py") or 'if __name__ == "__main__":' in file.read()
