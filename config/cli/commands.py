"""The list of the commands.

Each command is a module beside this one and is imported when it is asked for, so that none waits for the
imports of another. `options` has what several of them take.
"""

from __future__ import annotations

import importlib

import click

from config import __version__
from config.cli.word import command_word

_COMMANDS = {
    "serve": ("config.cli.serve", "serve", "Run the cloud until SIGTERM or Ctrl-C."),
    "reload": ("config.cli.reload", "reload", "Put a new server in the place of the running one."),
    "demo": (
        "config.cli.programs",
        "demo",
        "Show it: a cloud, an app and simulated glasses in this terminal.",
    ),
    "app": ("config.cli.app", "app", "Add, list, show and remove apps."),
    "user": ("config.cli.user", "user", "Make the token a phone logs in with."),
    "tree": ("config.cli.tree", "tree", "Show the actors of the running server."),
    "daemon": ("config.cli.daemon", "daemon", "Run terminal agents for your glasses on this computer."),
    "data": ("config.cli.data", "data", "Back the store up, bring it back, change its key."),
    "bench": ("config.cli.programs", "bench", "Run a benchmark."),
    "config": ("config.cli.show_settings", "show_settings", "Show every setting and where it came from."),
}


class _Commands(click.Group):
    """The commands, each imported when it runs; the list of them needs no import at all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.help = (self.help or "").replace("glasshouse ", f"{command_word()} ")
        super().format_help_text(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="glasshouse")
def main() -> None:
    """A smart-glasses cloud for MentraOS phones and apps.

    A first time, from nothing: `glasshouse demo`. With a phone and an app of your own:

    \b
      glasshouse app add org.example.hello --url http://127.0.0.1:7010
      glasshouse user token ada@example.org
      glasshouse serve

    Every command takes --data DIR, the folder where the server keeps what outlives it. GLASSHOUSE_DATA names
    it for all of them; else it is in your own data folder. `glasshouse COMMAND --help` tells more of each.
    """
