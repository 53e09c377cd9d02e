"""`glasshouse app test`: start an app and a cloud, put on simulated glasses, and see what happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import trio

from clients.app_test.play import Broken, play
from clients.app_test.scenario import FILE_NAME, Scenario, ScenarioError, Step, read
from clients.cloud import CloudError
from clients.command_line import run


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="FOLDER", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--keep-logs", metavar="DIR", type=click.Path(path_type=Path), help="Leave the logs there.")
def program(path: Path, keep_logs: Path | None) -> int:
    """Play the wearer of FOLDER/wearer.toml (or of a file) against the app.

    A cloud of its own is started, the app by its own command, and simulated glasses in front; what the wearer
    says is understood exactly. Each step is printed; the first that is not as expected ends it.

    Exit status: 0 when every step was as expected, 1 when one was not, 2 when the file is wrong.
    """
    try:
        scenario = read(path)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        return 2
    folder = path if path.is_dir() else path.parent
    if keep_logs is not None:
        return _play(scenario, folder, keep_logs)
    with tempfile.TemporaryDirectory(prefix="glasshouse-app-test-") as data:
        return _play(scenario, folder, Path(data))


def _play(scenario: Scenario, folder: Path, data: Path) -> int:
    passed = 0

    def told(step: Step) -> None:
        nonlocal passed
        passed += 1
        click.echo(f"ok {passed:>2}  {step}")

    click.echo(f"{scenario.app.package}, {len(scenario.step)} steps of {FILE_NAME}")
    problems: list[BaseException] = []
    try:
        trio.run(play, scenario, folder, data, told)
    except* (Broken, CloudError) as group:
        problems = _leaves(group)
    if problems:
        if passed < len(scenario.step):
            click.echo(f"not ok {passed + 1:>2}  {scenario.step[passed]}")
        for problem in problems:
            click.echo(f"        {problem}", err=True)
        return 1
    click.echo(f"{passed} of {len(scenario.step)} steps as expected")
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def main() -> int:
    """Run it with the words of the command line."""
    return run(program, "app test")
