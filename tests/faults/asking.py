"""What clients ask for meanwhile: that an experiment of theirs ends, rests, or goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import httpx

from service.client import RebalanceClient
from service.client.http import ApiError
from service.shared.states import State
from tests.faults.lab import Lab
from tests.faults.work import Posted


class Asking:
    """Asks, and remembers of which. One that has ended meanwhile is left as it is."""

    def __init__(self, lab: Lab, draws: random.Random) -> None:
        self._lab = lab
        self._draws = draws
        self._resting: list[str] = []
        self.cancelled: set[str] = set()

    def cancel(self, posted: Sequence[Posted]) -> None:
        """Any of them."""
        chosen = self._draws.choice(posted).id
        self.cancelled.add(chosen)
        self._ask(lambda client: client.cancel(chosen))

    def pause(self, posted: Sequence[Posted]) -> bool:
        """One whose job runs; False while none does, though one may yet."""
        rows = self._lab.ask(lambda client: list(client.experiments()))
        states = {row.id: row.state for row in rows}
        may = [each.id for each in posted if each.id not in self._resting and not states[each.id].ended]
        running = [each for each in may if states[each] is State.RUNNING]
        if running:
            chosen = self._draws.choice(running)
            self._resting.append(chosen)
            self._ask(lambda client: client.pause(chosen))
        return bool(running) or not may

    def any_is_to_run(self) -> bool:
        """Whether anything that was posted has not ended, and is not to rest."""
        rows = self._lab.ask(lambda client: list(client.experiments()))
        sweeps = self._lab.ask(lambda client: list(client.sweeps()))
        live = {each.id for each in (*rows, *sweeps) if not each.state.ended}
        return bool(live.difference(self._resting))

    def resume(self) -> None:
        """One that was asked to rest, whether it has come to it or not."""
        if self._resting:
            chosen = self._resting.pop(self._draws.randrange(len(self._resting)))
            self._ask(lambda client: client.resume(chosen))

    def resume_all(self) -> None:
        """Whatever still rests."""
        while self._resting:
            self.resume()

    def _ask(self, question: Callable[[RebalanceClient], object]) -> None:
        def asked(client: RebalanceClient) -> None:
            try:
                question(client)
            except ApiError as error:
                if error.status != httpx.codes.CONFLICT:
                    raise

        self._lab.ask(asked)
