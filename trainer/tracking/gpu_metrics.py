"""How busy and how full GPUs are, in MLflow's system metrics, while a training goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from trainer.tracking.trouble import TrackerError, within

log = logging.getLogger(__name__)

_SECONDS, _SAMPLES = 10, 6  # a number is the mean of a minute
_END_SECONDS = 5.0


class Monitor(Protocol):
    """A thread that measures this machine and sends to a run; by itself it ends when the run does."""

    def finish(self) -> None:
        """Ends it. May wait for a server."""


class GpuMetrics:
    """The monitor of a run; that there is none, or that it fails, costs the training nothing.

    It measures all GPUs of this machine, and its processors, memory, disks and network.
    """

    def __init__(self, start: Callable[[str, str], Monitor] | None = None) -> None:
        self._start = start or start_monitor
        self._monitor: Monitor | None = None

    def begin(self, uri: str, run_id: str) -> None:
        """Measures from now on for this run; for no other any more."""
        self.end()
        try:
            self._monitor = self._start(uri, run_id)
        except Exception as error:  # noqa: BLE001 - a library's thread at its outermost frame
            log.warning("GPUs are not measured: %s", error)

    def end(self) -> None:
        """Measures no more. Waits some seconds at most."""
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            with suppress(TrackerError):  # it took too long, and is left to itself
                within(_END_SECONDS, monitor.finish)


def start_monitor(uri: str, run_id: str, *, seconds: float = _SECONDS, samples: int = _SAMPLES) -> Monitor:
    """MLflow's own monitor, begun; it goes on counting where an earlier attempt's ended."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(
        run_id,
        sampling_interval=seconds,
        samples_before_logging=samples,
        resume_logging=True,
        tracking_uri=uri,
    )
    monitor.start()
    started: Monitor = monitor
    return started
