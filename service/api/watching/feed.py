"""What happens to the rows that streams are open for: the database is asked once a second for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from service.shared.states import State
from service.store.queue.lines import Kind
from service.store.records import Event, StoreUnavailable
from service.store.rows import Rows

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watch:
    """One open stream's view of its row."""

    kind: Kind
    id: str
    last: int  # the id of the last event that it was given
    state: State
    attempt: int
    fresh: list[Event] = field(default_factory=list)

    def take(self) -> list[Event]:
        """The events since the last call, oldest first."""
        taken, self.fresh = self.fresh, []
        return taken


class Feed:
    """Keeps every `Watch` up to date while there is one. All its methods belong to the event loop.

    A stream that does not take its events holds up nobody, and no connection of the database.
    """

    def __init__(self, ledgers: Mapping[Kind, Rows[Any]], *, seconds: float = 1.0) -> None:
        self._ledgers = ledgers
        self._seconds = seconds
        self._watches: set[Watch] = set()
        self._ticked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watching(self, watch: Watch) -> AsyncIterator[Watch]:
        """`watch` is kept up to date within the block."""
        self._watches.add(watch)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="feed")
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def tick(self) -> None:
        """Returns once all were brought up to date again."""
        await self._ticked.wait()

    async def _run(self) -> None:
        while self._watches:
            try:
                await self._refresh()
            except StoreUnavailable as error:
                log.warning("streams wait", extra={"reason": str(error)})
            ticked, self._ticked = self._ticked, asyncio.Event()
            ticked.set()
            await asyncio.sleep(self._seconds)

    async def _refresh(self) -> None:
        for kind, ledger in self._ledgers.items():
            mine = [each for each in self._watches if each.kind == kind]
            after: dict[str, int] = {}
            for each in mine:
                after[each.id] = min(each.last, after.get(each.id, each.last))
            if not after:
                continue
            states, events = await run_in_threadpool(ledger.news, after)
            for each in mine:
                each.state, each.attempt = states.get(each.id, (each.state, each.attempt))
                news = [event for who, event in events if who == each.id and event.id > each.last]
                each.fresh += news
                each.last = max((event.id for event in news), default=each.last)
