"""Load from a process of its own: a plan as JSON on stdin, what came of it as JSON on stdout.

Flat out (`rate` is null), each connection asks again as soon as it has its answer: that is for how many are
answered in a second. At a `rate`, requests are due at fixed times whatever becomes of those before them, and
each one's latency counts from when it was due: a server that stands still for a second is seen by all that
were due in it, not by the one that happened to be asked (no coordinated omission).
"""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_ANSWER_SECONDS = 30.0
_OVER_SECONDS = 120.0  # beyond what a plan lasts, until its process is given up
_HEADERS = {"Content-Type": "application/json"}

Request = tuple[str, str, str | None]  # method, path, body


@dataclass(frozen=True)
class Load:
    """What came of a plan. Latencies in milliseconds, in the order of the answers."""

    answered: int
    seconds: float
    statuses: dict[str, int]
    latency_ms: list[float]

    @property
    def per_second(self) -> float:
        """Answers a second, from the first request to the last answer."""
        return self.answered / self.seconds

    def quantile_ms(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        ordered = sorted(self.latency_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def load(
    url: str, requests: Sequence[Request], *, connections: int, seconds: float, rate: float | None = None
) -> Load:
    """Sends `requests`, once each and in their order, from a second process, for at most `seconds`.

    Raises:
        RuntimeError: the process failed, or something was answered that is no success.
    """
    plan = {
        "url": url,
        "requests": requests,
        "connections": connections,
        "seconds": seconds,
        "rate": rate,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.load"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        timeout=seconds + _OVER_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load came to nothing: {done.stderr[-2000:]}")
    found = Load(**json.loads(done.stdout))
    if any(not status.startswith("2") for status in found.statuses):
        raise RuntimeError(f"{url}: answered {found.statuses}")
    return found


@dataclass
class _Work:
    """What the connections share."""

    requests: Sequence[Request]
    due: Sequence[float] | None  # monotonic; None: at once
    ends: float
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    statuses: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)

    def run(self, host: str, port: int) -> None:
        """One connection's: the next request, until there is none or the time is over."""
        connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
        while (number := next(self.numbers)) < len(self.requests) and time.monotonic() < self.ends:
            asked = time.monotonic()
            if self.due is not None:
                time.sleep(max(0.0, self.due[number] - asked))
                asked = self.due[number]
            status = _ask(connection, self.requests[number])
            self.latency_ms.append(1000 * (time.monotonic() - asked))
            self.statuses[status] += 1
        connection.close()


def _ask(connection: http.client.HTTPConnection, request: Request) -> str:
    method, path, body = request
    connection.request(method, path, body, _HEADERS if body is not None else {})
    answer = connection.getresponse()
    answer.read()
    return str(answer.status)


def main() -> None:
    """Carries out the plan on stdin."""
    plan: dict[str, Any] = json.load(sys.stdin)
    where = urlsplit(plan["url"])
    began = time.monotonic()
    rate, requests = plan["rate"], plan["requests"]
    due = None if rate is None else [began + number / rate for number in range(len(requests))]
    work = _Work(requests, due, began + plan["seconds"])
    each = [
        threading.Thread(target=work.run, args=(where.hostname, where.port))
        for _ in range(plan["connections"])
    ]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()
    found = Load(len(work.latency_ms), time.monotonic() - began, dict(work.statuses), work.latency_ms)
    print(json.dumps(found.__dict__))


if __name__ == "__main__":
    main()
