"""The file of a SQLite store: whether it still lies where it was opened, and what is wrong with it.

Who moves or deletes it leaves the server with a file that has no name: what is written there is
lost at the next start. A page that was damaged harms those whose rows lie in it, and nobody else.
"""

from __future__ import annotations

from pathlib import Path

from serving.problems import DAMAGED, StoreFault, words_of_damage


class StoreFile:
    """Watches the file of a store."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened: tuple[int, int] | None = None
        self.damage: str | None = None
        """What SQLite said of a damaged page, until the process ends."""

    def opened(self) -> None:
        """Note that SQLite has the file open now; the first one counts."""
        if self._opened is None:
            self._opened = self._inode()

    def _inode(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @property
    def is_moved(self) -> bool:
        """Whether the file that was opened lies no longer where it was."""
        return self._opened is not None and self._inode() != self._opened

    @property
    def is_well(self) -> bool:
        """Whether it lies there, and no damage was seen."""
        return self.damage is None and not self.is_moved

    def need(self) -> None:
        """Raises `StoreFault` where the file was moved or deleted."""
        if self.is_moved:
            raise StoreFault(
                f"the store's file {self._path} was moved, deleted or replaced while it was "
                "served: nothing is written until it is back"
            )

    def note(self, error: BaseException) -> None:
        """Keep what an error says of a damaged file."""
        words = words_of_damage(error)
        if words is not None and self.damage is None:
            self.damage = f"{DAMAGED}: {words}"
