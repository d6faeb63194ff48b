"""Whether the storage is there: an empty directory in its place is where nothing is mounted."""

from __future__ import annotations

from collections.abc import Callable

from trainer.base.errors import StorageAway
from trainer.storage.layout import Storage

NAME = ".region-rebalance"


class Presence:
    """Looks for a file that the first look puts into the storage. Jobs never write it."""

    def __init__(self, storage: Storage, begun: Callable[[], bool]) -> None:
        """`begun`: whether anything was ever run in it; asked until the file was seen once."""
        self._storage = storage
        self._begun = begun
        self._seen = False

    def check(self) -> None:
        """Returns where the storage is there.

        Raises:
            StorageAway: it is not; DiskFull: there is no room for the file, not even an empty one.
        """
        if not self._storage.folder.exists():
            raise StorageAway(str(self._storage.root), "there is no such directory; mount it again")
        mark = self._storage.file(NAME)
        if not mark.exists():
            fresh = not self._seen and (self._storage.experiments.exists() or not self._begun())
            if not fresh:
                why = (
                    f"what was stored there is gone; mount it again, or begin anew with `touch {NAME}` in it"
                )
                raise StorageAway(str(self._storage.root), why)
            mark.write("")
        self._seen = True
