"""Labels of several views on a GPU."""

from __future__ import annotations

import pytest
import torch

from tests.unit.trainer.mmseg_adapter.scoring.test_merging import LARGE, as_view, assert_best
from trainer.mmseg_adapter.scoring.heads import Held
from trainer.mmseg_adapter.scoring.merging import labels_of_views
from trainer.mmseg_adapter.scoring.patches import Patch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_where_tables_lie_changes_no_label() -> None:
    """All on the GPU, or the half of them in main memory for want of room: labels are the best classes."""
    size, device = (140, 187), torch.device("cuda")
    views = [as_view(seen, size, False) for seen in LARGE]
    everything = sum(patch.table.nbytes for view in views for patch in view)
    found = []
    for limit in (None, everything // 2):
        held = Held(device, limit)
        kept = [
            [Patch(held(patch.table.to(device)), patch.rows, patch.columns) for patch in view]
            for view in views
        ]
        places = {patch.table.device.type for view in kept for patch in view}
        assert places == ({"cuda"} if limit is None else {"cuda", "cpu"})
        found.append(labels_of_views(kept, size, device=device))
        assert found[-1].is_cuda
        assert_best(found[-1].cpu(), LARGE, size, False)
    assert torch.equal(*found)
