"""GPUs are measured for one run at a time, and what goes wrong there costs a training nothing."""

from __future__ import annotations

from trainer.tracking.gpu_metrics import GpuMetrics


class Monitors:
    """Starts monitors that note what is done to them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.noted: list[str] = []
        self._error = error

    def start(self, uri: str, run_id: str) -> Monitors:
        if self._error is not None:
            raise self._error
        self.noted.append(f"began {run_id} at {uri}")
        return self

    def finish(self) -> None:
        self.noted.append("ended")


def test_one_at_a_time() -> None:
    """A run that is opened again, after trouble, has one monitor; an end without one does nothing."""
    monitors = Monitors()
    gpus = GpuMetrics(monitors.start)
    gpus.end()
    gpus.begin("http://u", "r")
    gpus.begin("http://u", "r")
    gpus.end()
    gpus.end()
    assert monitors.noted == ["began r at http://u", "ended", "began r at http://u", "ended"]


def test_none_to_be_had() -> None:
    """A monitor that cannot start is a line in the log."""
    gpus = GpuMetrics(Monitors(OSError("no NVML")).start)
    gpus.begin("http://u", "r")
    gpus.end()
