"""Where the figures of a whole service come from: its store, its reconciler, and the parts it speaks to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from service.api.views.mlflow_facts import RunFacts
from service.api.watching.metrics import Sources
from service.reconcile.cluster import Backend, BackendUnreachable
from service.reconcile.thread import ReconcilerLoop
from service.store.experiments import Store

_FRESH_SECONDS = 15.0  # a part that is away may take seconds to say nothing


def sources_of(store: Store, loop: ReconcilerLoop, backend: Backend, facts: RunFacts | None) -> Sources:
    """What `Metrics.watch` asks; `facts` where there is an MLflow server."""
    asks: dict[str, Callable[[], bool]] = {
        "database": lambda: store.refusal() is None,  # that it answers at all, the counts tell
        "ray": lambda: _answers(backend),
    }
    if facts is not None:
        asks["mlflow"] = lambda: facts.trouble() is None
    return Sources(
        counts=lambda: {kind: ledger.by_state() for kind, ledger in store.ledgers.items()},
        last_pass=loop.last_pass,
        parts=_Remembered(asks),
    )


class _Remembered:
    """Whether each part answers, asked at most once in `_FRESH_SECONDS`."""

    def __init__(self, asks: Mapping[str, Callable[[], bool]]) -> None:
        self._asks = asks
        self._seen: dict[str, bool] = {}
        self._asked_at = float("-inf")

    def __call__(self) -> Mapping[str, bool]:
        now = time.monotonic()
        if now - self._asked_at > _FRESH_SECONDS:
            self._seen = {part: ask() for part, ask in self._asks.items()}
            self._asked_at = now
        return self._seen


def _answers(backend: Backend) -> bool:
    try:
        backend.ping()
    except BackendUnreachable:
        return False
    return True
