"""Charts set in advance: the names that we use for them are those of MLflow's interface, in its scripts."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from trainer.tracking import mlflow_compat
from trainer.tracking.content.views import View
from trainer.tracking.server import views_compat
from trainer.tracking.server.views_compat import PACKED, SHARED_VIEW, address_of, tag_of

VIEW = View("rebalance-s1", "Trials", "tags.a = 'b'", ("method.lambda",), ("mIoU", "delta_mIoU"))
pytestmark = pytest.mark.integration


@cache
def script() -> str:
    """All scripts of the interface, as installed."""
    found = find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "server" / "js" / "build" / "static" / "js"
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.js"))
    )


def state() -> dict[str, Any]:
    name, value = tag_of(VIEW)
    assert name == f"{SHARED_VIEW}rebalance-s1"
    packed = base64.b64decode(value.removeprefix(PACKED))
    found: dict[str, Any] = json.loads(zlib.decompress(packed))
    return found


def test_the_interface_has_every_name() -> None:
    """Tags, the words of the address, the fields of a view, and the kinds of charts."""
    view = state()
    charts = view["compareRunCharts"]
    words = {SHARED_VIEW, PACKED, views_compat.VIEW_KEY, *view, *view["compareRunSections"][0]}
    words |= {key for chart in charts for key in chart} | {f'="{chart["type"]}"' for chart in charts}
    for part in (views_compat.CHARTS_SHOWN, views_compat.FOR_TRAINING):
        words |= set(part.split("="))
    words |= {mlflow_compat.KIND, mlflow_compat.OF_MODELS, mlflow_compat.LOGGED_IMAGES}
    missing = {word for word in words if word not in script()}
    assert not missing


def test_a_view_is_the_same_each_time() -> None:
    """So that a tag that was set already is not changed; and small enough for one (20,000 characters)."""
    assert tag_of(VIEW) == tag_of(VIEW)
    assert len(tag_of(VIEW)[1]) < 5000
    assert address_of(VIEW, "7").startswith("#/experiments/7/runs?")
