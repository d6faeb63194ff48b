"""Figures for Prometheus: requests, what is stored by state, the reconciler, and whether the parts answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from service.reconcile.thread import Pass
from service.shared.states import State
from service.store.records import StoreUnavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)  # seconds
_FRESH_SECONDS = 5.0  # so long a count of the database serves every scraper

Counts = Mapping[str, Mapping[State, int]]  # by kind, by state


@dataclass(frozen=True)
class Sources:
    """Where the figures of the whole service come from.

    `counts` asks the database; `parts` says of each part whether it answered last.
    """

    counts: Callable[[], Counts]
    last_pass: Callable[[], Pass]
    parts: Callable[[], Mapping[str, bool]]


class Metrics:
    """The figures of one application. Each has a registry of its own: tests make many in one process."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        build = GaugeMetricFamily("rebalance_build_info", "Which version runs.", labels=["version"])
        build.add_metric([version], 1)
        self._registry.register(_Fixed(build))
        self._requests = Counter(
            "rebalance_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "rebalance_http_request_seconds",
            "From a request's head to the end of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request of `route`, a template: few values, whatever is asked."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def watch(self, sources: Sources) -> None:
        """From now on the figures of the service are among them."""
        self._registry.register(_Service(sources))

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class _Fixed(Collector):
    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Service(Collector):
    """Asked at each scrape; the database at most once in `_FRESH_SECONDS`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._counts: Counts | None = None
        self._counted_at = 0.0

    def describe(self) -> Iterable[Metric]:
        return ()  # without it the registry would collect once at registration, before there is a store

    def collect(self) -> Iterable[Metric]:
        counts = self._fresh_counts()
        up = GaugeMetricFamily("rebalance_part_up", "1 where the part answered last.", labels=["part"])
        parts = dict(self._sources.parts())
        parts["database"] = counts is not None and parts.get("database", True)
        for part, well in sorted(parts.items()):
            up.add_metric([part], float(well))
        yield up
        rows = GaugeMetricFamily("rebalance_rows", "What is stored, by state.", labels=["kind", "state"])
        for kind, states in (counts or {}).items():
            for state, number in states.items():
                rows.add_metric([kind, state], number)
        yield rows
        last = self._sources.last_pass()
        yield GaugeMetricFamily(
            "rebalance_reconciler_pass_seconds", "The last pass took.", value=last.seconds
        )
        yield GaugeMetricFamily(
            "rebalance_reconciler_lag_seconds", "Since the last pass ended.", value=last.age_seconds
        )
        yield GaugeMetricFamily(
            "rebalance_reconciler_up", "1 where passes come to their end.", value=float(last.well)
        )

    def _fresh_counts(self) -> Counts | None:
        """None where the database does not answer."""
        now = time.monotonic()
        if self._counts is None or now - self._counted_at > _FRESH_SECONDS:
            try:
                self._counts = self._sources.counts()
            except StoreUnavailable:
                self._counts = None
            self._counted_at = now
        return self._counts
