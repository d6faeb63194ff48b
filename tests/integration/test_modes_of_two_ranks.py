"""A split scored in several modes by two processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.data_factories import write_folder
from tests.integration import modes_rank
from tests.integration.two_ranks import run_two
from tests.unit.trainer.tiny_mmseg import mmseg_scope

pytestmark = pytest.mark.integration


def test_two_ranks_count_as_one(tmp_path: Path, repository: Path) -> None:
    """Both ranks have the counts that one process has of all pictures, each of which was scored once; also
    where there are fewer pictures than ranks.
    """
    masks = [np.full((40, 30 + 7 * k), k % 3) for k in range(3)]
    root = str(write_folder(tmp_path / "data", {"val": masks, "one": masks[:1]}))
    result = tmp_path / "result"
    run_two(modes_rank.__file__, repository, str(tmp_path / "rendezvous"), root, str(result))
    found = [json.loads(Path(f"{result}{rank}").read_text()) for rank in range(2)]
    with mmseg_scope():
        for split, pictures in (("val", 3), ("one", 1)):
            alone = json.loads(json.dumps(modes_rank.scored(root, split)))
            names = [name for rank in found for name in rank[split].pop("seen")]
            assert sorted(names) == sorted(alone.pop("seen"))
            assert len(names) == pictures
            assert found[0][split] == found[1][split] == alone
            assert all(np.sum(one["confusion"]) > 0 for one in alone.values())
