"""URL: many event streams open at once, from a process of its own; ids on stdin, what came of them on stdout.

Each stream follows one experiment that waits. Once all have had their first event, the experiments are
cancelled one after the other, and what counts is the time from that request to the event on its stream.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_LIMIT_SECONDS = 120.0
_CANCELS_PER_SECOND = 50.0


def delivered(url: str, ids: Sequence[str]) -> dict[str, Any]:
    """`open_seconds` until all streams had their first event, and `latency_ms` of each one's last.

    Raises:
        RuntimeError: a stream did not get its event.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.streams", url],
        input=json.dumps(list(ids)),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS + 10,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the streams came to nothing: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass
class _Streams:
    """All of them, in one event loop."""

    host: str
    port: int
    opened: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    asked: dict[str, float] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)

    async def follow(self, identifier: str) -> None:
        """Reads until the experiment has ended."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        path = f"/experiments/{identifier}/events/stream"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        first = True
        async for line in reader:
            if not line.startswith(b"data:"):
                continue
            if first:
                self.opened.release()
                first = False
            if b"cancelled" in line:
                self.latency_ms.append(1000 * (time.monotonic() - self.asked[identifier]))
                break
        writer.close()

    async def cancel(self, identifier: str) -> None:
        """Asks for its end."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        head = f"POST /experiments/{identifier}/cancel HTTP/1.1\r\nHost: {self.host}\r\n"
        self.asked[identifier] = time.monotonic()
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        await reader.read()
        writer.close()
        if b" 202 " not in status and b" 200 " not in status:
            raise RuntimeError(f"cancel: {status!r}")

    async def run(self, ids: Sequence[str]) -> dict[str, Any]:
        """Opens all, cancels each in turn, and waits for the last event."""
        began = time.monotonic()
        async with asyncio.timeout(_LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
            for identifier in ids:
                tasks.create_task(self.follow(identifier))
            for _ in ids:
                await self.opened.acquire()
            all_open = time.monotonic()
            for number, identifier in enumerate(ids):
                await asyncio.sleep(max(0.0, all_open + number / _CANCELS_PER_SECOND - time.monotonic()))
                tasks.create_task(self.cancel(identifier))
        return {"open_seconds": all_open - began, "latency_ms": self.latency_ms}


def main(url: str) -> None:
    """Follows the experiments named on stdin."""
    where = urlsplit(url)
    streams = _Streams(where.hostname or "", where.port or 80)
    print(json.dumps(asyncio.run(streams.run(json.load(sys.stdin)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
