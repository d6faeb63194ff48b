"""Python's garbage collector in a process that serves for months."""

from __future__ import annotations

import gc

# New objects between two looks at the young ones, and such looks between two at older ones (Python: 700, 10,
# 10). A page of a list makes some ten thousand objects, and nearly all of them go without the collector.
_THRESHOLDS = (20_000, 20, 20)


def spare_collections() -> None:
    """What is there by now stays, and is not walked again; what comes is looked at less often.

    Of a process that does nothing but serve, once it has started: by Python's own rules every collection of
    all walks through what was imported, and holds up who asks meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
