"""Where the figures of a whole service come from: its store, its reconciler, and the parts it speaks to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from service.api.watching.metrics import Sources
from service.api.watching.parts import Parts
from service.reconcile.thread import ReconcilerLoop
from service.store.experiments import Store

_NAMES = {"backend": "ray"}  # as /readyz calls it, and as the figures do
_FRESH_SECONDS = 15.0  # a part that is away may take seconds to say nothing


def sources_of(store: Store, loop: ReconcilerLoop, parts: Parts) -> Sources:
    """What `Metrics.watch` asks."""

    def ask() -> dict[str, bool]:
        found = {_NAMES.get(name, name): why is None for name, why in parts.troubles().items()}
        return found | {"database": store.refusal() is None}  # that it answers at all, the counts tell

    return Sources(
        counts=lambda: {kind: ledger.by_state() for kind, ledger in store.ledgers.items()},
        last_pass=loop.last_pass,
        parts=_Remembered(ask),
    )


class _Remembered:
    """Whether each part answers, asked at most once in `_FRESH_SECONDS`."""

    def __init__(self, ask: Callable[[], Mapping[str, bool]]) -> None:
        self._ask = ask
        self._seen: Mapping[str, bool] = {}
        self._asked_at = float("-inf")

    def __call__(self) -> Mapping[str, bool]:
        now = time.monotonic()
        if now - self._asked_at > _FRESH_SECONDS:
            self._seen = self._ask()
            self._asked_at = now
        return self._seen
