"""What the cluster that a job runs on has, asked before anything is trained."""

from __future__ import annotations

from trainer.spec.capacity import larger
from trainer.spec.recipes import Machines


def cluster_machines(most: Machines | None = None, *, show_workers: bool = True) -> Machines:
    """What the cluster has that RAY_ADDRESS names, else the one that is started here; joined by it.

    Args:
        most: what it may grow to, where that is declared.
        show_workers: as `launch.connect` will be told, which finds itself joined already.
    """
    from trainer.run import launch
    from trainer.run.cluster import machines

    launch.connect(show_workers=show_workers)
    return larger(machines(), most)
