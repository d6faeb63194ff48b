"""What sweeps/search/ray_compat.py takes from Ray is there."""

from __future__ import annotations

from ray._common.constants import HEAD_NODE_RESOURCE_NAME

from sweeps.search.ray_compat import HEAD_NODE


def test_the_head_has_its_resource() -> None:
    """By Ray's own name; on a real cluster every sweep of tests/integration needs it."""
    assert HEAD_NODE == HEAD_NODE_RESOURCE_NAME
