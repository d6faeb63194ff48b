"""One of two ranks: `python gloo_rank.py RANK RENDEZVOUS_FILE CASE_FILE RESULT_FILE`; see test_reduction.py.

Each rank gets rows [first, last) of the region logits of CASE_FILE, as if its images held those regions;
then rank 0 the first image, rank 1 the others, of two steps of the pixel losses that count over all ranks.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import torch
from torch import distributed

from trainer.losses.recall import Recall
from trainer.losses.reduction import LossSum, mean_over_ranks
from trainer.losses.region_branch import region_cross_entropy
from trainer.losses.seesaw import Seesaw

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
        regions = region_cross_entropy(
            case["features"][rows] @ weight, case["class_ids"][rows], label_smoothing=case["label_smoothing"]
        )
        twice = LossSum(2 * regions.total, regions.units)
        mean, double_mean = mean_over_ranks(regions, twice)
        (mean + double_mean).backward()
        distributed.all_reduce(weight.grad)
        averaged = weight.grad / 2  # what DistributedDataParallel does
        distributed.all_reduce(mean)
        results.append((averaged, mean.detach() / 2))
    images = slice(0, 1) if rank == 0 else slice(1, None)
    counting = []
    for loss in (Seesaw(case["logits"].shape[1]), Recall()):
        for _ in range(2):
            logits = case["logits"].clone().requires_grad_()
            (mean,) = mean_over_ranks(loss(logits[images], case["target"][images]))
        mean.backward()
        distributed.all_reduce(logits.grad)
        distributed.all_reduce(mean)
        counting.append((logits.grad / 2, mean.detach() / 2, loss.state_dict()))
    if rank == 0:
        torch.save({"regions": results, "counting": counting}, result_file)
    distributed.destroy_process_group()
