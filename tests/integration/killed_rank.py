"""One rank of a run that may be killed: `python killed_rank.py RANK WORLD_SIZE RENDEZVOUS_FILE PLAN_FILE`.

See test_kills.py. Rank 0 prints the number of each iteration once it is done.
"""

from __future__ import annotations

import os
import sys
import warnings
from datetime import timedelta
from pathlib import Path

from torch import distributed

from trainer.plan import Plan
from trainer.run.worker import train
from trainer.storage.sink import NullSink, Record


class Printing(NullSink):
    """Says how far the run is."""

    def emit(self, record: Record) -> None:
        if record["kind"] == "train":
            print(record["iteration"], flush=True)


def main() -> None:
    rank, world, rendezvous, plan_file = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    if world > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        limit = timedelta(seconds=60)
        distributed.init_process_group(
            "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world, timeout=limit
        )
    train(Plan.model_validate_json(Path(plan_file).read_text()), NullSink() if rank else Printing())
    if world > 1:
        distributed.destroy_process_group()  # its threads end with it, not amid the interpreter's own end


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # mmseg's own remarks
    main()
