"""One of two ranks: `python gloo_rank.py RANK RENDEZVOUS_FILE CASE_FILE RESULT_FILE`; see test_reduction.py.

Each rank gets rows [first, last) of the region logits of CASE_FILE, as if its images held those regions.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import torch
from torch import distributed

from trainer.losses.reduction import LossSum, mean_over_ranks
from trainer.losses.region_branch import region_cross_entropy

if __name__ == "__main__":
    rank, rendezvous, case_file, result_file = int(sys.argv[1]), *sys.argv[2:]
    torch.set_num_threads(1)
    limit = timedelta(seconds=30)
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2, timeout=limit
    )
    case = torch.load(case_file)
    results = []
    for split in case["splits"]:
        rows = slice(0, split) if rank == 0 else slice(split, None)
        weight = case["weight"].clone().requires_grad_()
        regions = region_cross_entropy(case["features"][rows] @ weight, case["class_ids"][rows])
        twice = LossSum(2 * regions.total, regions.units)
        mean, double_mean = mean_over_ranks(regions, twice)
        (mean + double_mean).backward()
        distributed.all_reduce(weight.grad)
        averaged = weight.grad / 2  # what DistributedDataParallel does
        distributed.all_reduce(mean)
        results.append((averaged, mean.detach() / 2))
    if rank == 0:
        torch.save(results, result_file)
    distributed.destroy_process_group()
