"""Counting class frequencies against only decoding the same PNG masks, with the same number of processes.

Masks like ADE20K's: 512×683, some ten classes in contiguous blobs. The two take turns; seconds are medians of
the whole, the start of the processes included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from trainer.data.tally import chunks_of, count_masks

HEIGHT, WIDTH, NUM_IDS, REGIONS = 512, 683, 151, 12
DISTINCT = 40  # masks that differ; the rest are copies in files of their own
PROCESSES = (1, 2)
TARGET = 1.25


def decode(paths: Sequence[str]) -> int:
    """Decodes masks and looks at nothing; how many."""
    from PIL import Image

    for path in paths:
        with Image.open(path) as picture:
            picture.load()
    return len(paths)


def decode_all(masks: Sequence[Path], processes: int) -> int:
    """Decodes in chunks as large as the counter's; how many masks."""
    chunks = chunks_of(masks)
    if processes == 1:
        return sum(map(decode, chunks))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(decode, chunks))


def write_masks(directory: Path, number: int) -> list[Path]:
    """Masks whose regions are the cells nearest to random points, their edges made uneven."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    paths = []
    for distinct in range(min(DISTINCT, number)):
        points = rng.uniform((0, 0), (HEIGHT, WIDTH), size=(REGIONS, 2))
        phase, ids = rng.uniform(0, 6, size=4), rng.integers(0, NUM_IDS, size=REGIONS)
        moved_y = y + 6 * np.sin(x / 9 + phase[0]) + 2 * np.sin(x / 2.3 + phase[1])
        moved_x = x + 6 * np.sin(y / 8 + phase[2]) + 2 * np.sin(y / 2.1 + phase[3])
        distances = [(moved_y - py) ** 2 + (moved_x - px) ** 2 for py, px in points]
        mask = Image.fromarray(ids[np.argmin(distances, axis=0)].astype(np.uint8))
        for copy in range(distinct, number, DISTINCT):
            paths.append(directory / f"{copy:05d}.png")
            mask.save(paths[-1])
    return sorted(paths)


def seconds_of(task: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--masks", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5, help="counted; one more goes before them")
    options = parser.parse_args()
    ids = tuple((k, k) for k in range(NUM_IDS))
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        masks = write_masks(Path(directory), options.masks)
        for processes in PROCESSES:
            decoding, counting = [], []
            for _ in range(options.runs + 1):
                decoding.append(seconds_of(lambda n=processes: decode_all(masks, n)))  # type: ignore[misc]
                counting.append(seconds_of(lambda n=processes: count_masks(masks, ids, processes=n)))  # type: ignore[misc]
            pairs = list(zip(counting[1:], decoding[1:], strict=True))
            rows.append(
                {
                    "processes": processes,
                    "decode_seconds": round(statistics.median(decoding[1:]), 3),
                    "count_seconds": round(statistics.median(counting[1:]), 3),
                    "time_ratio": round(statistics.median(count / decode for count, decode in pairs), 3),
                }
            )
    worst = max(row["time_ratio"] for row in rows)
    print(
        json.dumps(
            {
                "benchmark": "frequencies",
                "masks": options.masks,
                "size": [HEIGHT, WIDTH],
                "results": rows,
                "time_ratio": worst,
                "target": TARGET,
                "runs": options.runs,
                "cpus": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
