"""Two GPUs take the step that one takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.integration.data_parallel_rank import CASES, IMAGES, make_attached, make_half, step
from tests.integration.two_ranks import two_ranks
from tests.unit.trainer.tiny_mmseg import mmseg_scope

TOLERANCE = 1e-4  # of the loss
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices on this machine"),
    pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning"),
]


def test_two_gpus_have_the_loss_of_one(tmp_path: Path, repository: Path) -> None:
    """Over NCCL with SyncBN and half the batch on each, the ranks' mean loss is that of one GPU with all of
    it, and so are the classifier's gradients, within 1 % of the largest.
    """
    halves = two_ranks(tmp_path, repository, "cuda")
    with mmseg_scope():
        for (head, method, labels), ours in zip(CASES, halves, strict=True):
            model = make_attached(head, method, "cuda")
            whole = step(model, model, make_half(labels, slice(0, IMAGES), "cuda"))
            torch.testing.assert_close(ours.loss, whole.loss.cpu(), rtol=TOLERANCE, atol=0)
            name = next(each for each in whole.gradients if each.endswith("decode_head.conv_seg.weight"))
            wanted = whole.gradients[name].cpu()
            assert (ours.gradients[name] - wanted).abs().max() <= 1e-2 * wanted.abs().max()
