"""Random numbers that belong to one module: they neither disturb nor depend on any global stream."""

from __future__ import annotations

import hashlib

import torch


def own_generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded from a hash of `key`: keys that differ a little give unlike streams.

    With (seed, rank, step) as key, and the step in its state, a module goes on after a resume with the
    numbers it would have had. On another kind of device the same key gives other numbers.
    """
    digest = hashlib.blake2b(",".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)
