"""What we use of Ray that its documentation does not promise: seen in 2.60, held by a test.

Where Ray moves it, `tests/unit/sweeps/search/test_ray_compat.py` says so.
"""

from __future__ import annotations

# A resource that every cluster has once, 1.0 of it on the node of its head: Ray places its own actors by it.
HEAD_NODE = "node:__internal_head__"
