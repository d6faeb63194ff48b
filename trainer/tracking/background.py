"""Curves to a tracker from a thread of its own, while training goes on."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from trainer.tracking.tracker import Point, Tracker
from trainer.tracking.trouble import TrackerError, trouble_of

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 900.0  # seconds


class TrackerSource(Protocol):
    """Where the tracker comes from, and who is told how it goes; every method is called in the thread."""

    def open(self) -> Tracker:
        """The open run. Raises TrackerError."""

    def replay(self, tracker: Tracker) -> None:
        """Sends again all that was measured so far. Raises TrackerError."""

    def trouble(self, error: TrackerError) -> None:
        """From now on something is missing."""

    def caught_up(self) -> None:
        """Nothing is missing any more."""


class BackgroundTracker:
    """Feeds a tracker from a thread of its own: a slow or dead server never holds up training.

    The tracker is opened in that thread too, at the first record. After a failure `lost` is true and what
    follows is left to metrics.jsonl, which has it all; after a pause, longer each time, the run is opened
    again and everything sent. Who is still lost at the end replays.
    """

    def __init__(
        self,
        source: TrackerSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        close_seconds: float = _CLOSE_SECONDS,
    ) -> None:
        self._source = source
        self._clock = clock
        self._close_seconds = close_seconds
        self._queue: queue.SimpleQueue[Point | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
        self._started = False
        self._tracker: Tracker | None = None
        self._pause, self._again_at = _FIRST_PAUSE, 0.0
        self._telling = threading.Lock()  # what is told of and `lost` go together
        self._given_up = False
        self.lost = False

    def log(self, point: Point) -> None:
        """Takes a point along; returns at once."""
        self._queue.put(point)
        if not self._started:
            self._started = True
            self._thread.start()

    def flush(self) -> None:
        """Waits until all is delivered, some seconds at most; what comes later is told to nobody."""
        if self._started:
            self._queue.put(None)
            self._thread.join(self._close_seconds)
            with self._telling:
                if self._thread.is_alive():
                    self.lost, self._given_up = True, True

    def _run(self) -> None:
        while (points := self._gathered()) and not self._given_up:
            if self.lost and self._clock() < self._again_at:
                continue
            try:
                self._deliver(points)
            except Exception as error:  # noqa: BLE001 - the thread's outermost frame: training knows nothing of it
                self._note(error if isinstance(error, TrackerError) else trouble_of(error))

    def _gathered(self) -> list[Point]:
        """What has come since the last look, one at least; nothing at the end.

        A server that takes longer for a request than training for a step is sent more at a time, and so
        never falls behind by more than one request.
        """
        points, following = [], self._queue.get()
        while following is not None:
            points.append(following)
            if self._queue.empty():
                return points
            following = self._queue.get()
        if points:
            self._queue.put(None)  # the end is looked at again once these are sent
        return points

    def _deliver(self, points: list[Point]) -> None:
        tracker = self._tracker or self._source.open()
        if self.lost:
            self._source.replay(tracker)  # these too: they are in the file already
            with self._telling:
                if self._given_up:
                    return
                self._source.caught_up()
                self.lost = False
            self._pause = _FIRST_PAUSE
        else:
            tracker.log_points(points)
        self._tracker = tracker

    def _note(self, error: TrackerError) -> None:
        log.warning("%s; metrics.jsonl goes on", error.told)
        self._tracker = None
        self._again_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        with self._telling:
            if not self.lost:
                self.lost = True
                self._source.trouble(error)
