"""Whether a job looks at data itself: the part that needs no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.run import near_data


@pytest.mark.parametrize(
    ("here", "expected"), [({"CPU": 4.0}, True), ({}, False), ({"CPU": 0.5, "memory": 1e9}, False)]
)
def test_it_reads_where_work_is_done(here: dict[str, float], expected: bool) -> None:
    """A node with a whole CPU of the cluster; what other nodes have does not count."""
    nodes: list[dict[str, Any]] = [
        {"NodeID": "a", "Resources": here},
        {"NodeID": "b", "Resources": {"CPU": 64.0}},
    ]
    assert near_data.reads_here("a", nodes=lambda: nodes) is expected
