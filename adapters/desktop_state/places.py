"""Where agents may work: directories that the user named, and what they allowed there.

What counts is the directory itself: symbolic links are followed first, so that none leads out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import trio

from actors.desktop_daemon.ports import Place, PlaceError


class AllowedDirectory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A directory, everything below it included.

    Attributes:
      path: `~` is the user's home.
      allow: tools that agents use here without asking, in the agent's own words: `Read`, `Bash(npm test:*)`;
        the name of an adapter (`bash`) lets its commands start unasked.
    """

    path: str
    allow: tuple[str, ...] = ()


class AllowedPlaces:
    """`actors.desktop_daemon.ports.Places` over the file system.

    Args:
      root: where an agent works that was not told where; allowed, too.
      directories: of two that hold a place the inner one says what is allowed there.
    """

    def __init__(self, root: str, directories: Sequence[AllowedDirectory]) -> None:
        self._root = root
        self._directories = (*directories, AllowedDirectory(path=root))

    async def find(self, working_directory: str | None) -> Place:
        """The place to work in. Raises PlaceError.

        Args:
          working_directory: absolute, from the home (`~/code`), or relative to the root.
        """
        return await trio.to_thread.run_sync(self._find, working_directory)

    def _find(self, working_directory: str | None) -> Place:
        wanted = working_directory or self._root
        try:
            path = (Path(self._root).expanduser() / Path(wanted).expanduser()).resolve()
            str(path).encode()  # a name that is not UTF-8 cannot be kept or told
            holding = [
                (len(base.parts), directory)
                for directory in self._directories
                if path.is_relative_to(base := Path(directory.path).expanduser().resolve())
            ]
            # Whether something exists outside of them is nobody's business.
            if not holding:
                raise PlaceError(f"{wanted} is not in a directory that agents may work in")
            if not path.is_dir():
                raise PlaceError(f"{wanted} is not a directory on this desktop")
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # a loop of links, a NUL, a home that is not known
            raise PlaceError(f"{wanted!r} cannot be a working directory: {error}") from error
        _, innermost = max(holding, key=lambda found: found[0])
        return Place(cwd=str(path), allowed=innermost.allow)
