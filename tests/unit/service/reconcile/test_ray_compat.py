"""What service/reconcile/ray_compat.py takes from Ray is there; tests/contract/test_backend.py uses it."""

from __future__ import annotations

import inspect

from ray.dashboard.modules.dashboard_sdk import SubmissionClient


def test_requests_go_through_one_method() -> None:
    """Ray's client sends through `_do_request`, which hands what it does not know to requests."""
    parameters = inspect.signature(SubmissionClient._do_request).parameters
    assert list(parameters)[:3] == ["self", "method", "endpoint"]
    assert any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    assert "**kwargs" in inspect.getsource(SubmissionClient._do_request).partition('"""')[2]
