"""A poor link: frames between two TAP devices, each in another network, some later and some never.

    relay.py SWITCH_PID PORT HOST_PID DELAY_SECONDS LOSS SEED

PORT is made in the network of SWITCH_PID, `eth0` in that of HOST_PID. Each frame comes DELAY_SECONDS later,
in both directions, and is lost with probability LOSS. Prints `up`; ends when stdin does.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from namespaces import enter_network

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_LONGEST_FRAME = 65_536
_MOST_WAITING = 20_000  # frames; a real switch drops as well when its queue is full


def tap(pid: int, name: str) -> int:
    """A new TAP device in the network of a process; gone when the descriptor is closed."""
    enter_network(pid)
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


class Direction:
    """Frames on their way from one device to the other, in order."""

    def __init__(self, source: int, sink: int, delay: float, loss: float, chance: random.Random) -> None:
        self.source = source
        self._sink = sink
        self._delay = delay
        self._loss = loss
        self._chance = chance
        self._waiting: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """Takes what has come."""
        while True:
            try:
                frame = os.read(self.source, _LONGEST_FRAME)
            except BlockingIOError:
                return
            if self._chance.random() >= self._loss and len(self._waiting) < _MOST_WAITING:
                self._waiting.append((time.monotonic() + self._delay, frame))

    def give(self) -> float | None:
        """Hands on what is due; seconds until more is, None where nothing waits."""
        while self._waiting:
            left = self._waiting[0][0] - time.monotonic()
            if left > 0:
                return left
            try:
                os.write(self._sink, self._waiting.popleft()[1])
            except OSError:  # the device is down: a cut link drops
                continue
        return None


def relay(switch: int, port: str, host: int, delay: float, loss: float, seed: int) -> None:
    """Returns when stdin ends."""
    left, right = tap(switch, port), tap(host, "eth0")
    print("up", flush=True)
    chance = random.Random(seed)
    ways = [Direction(a, b, delay, loss, chance) for a, b in ((left, right), (right, left))]
    poll = select.poll()
    for descriptor in (left, right, 0):
        poll.register(descriptor, select.POLLIN)
    due: list[float] = []
    while True:
        wait = 1000 * min(due) if due else None
        ready = {descriptor for descriptor, _ in poll.poll(wait)}
        if 0 in ready and not os.read(0, 1):
            return
        for way in ways:
            try:
                way.take()
            except OSError:  # as in give
                continue
        due = [left_seconds for way in ways if (left_seconds := way.give()) is not None]


if __name__ == "__main__":
    relay(
        int(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        float(sys.argv[4]),
        float(sys.argv[5]),
        int(sys.argv[6]),
    )
