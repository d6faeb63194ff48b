"""Charts and columns set in advance, in the form in which MLflow's interface shares a view.

None of it is documented: the *Share* button of a list of runs keeps the view as a tag of the experiment,
and names its key in the address. Seen in 3.17; `tests/contract/test_views.py` holds each name. A server
that means nothing by them shows its own charts.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from typing import Any

from trainer.tracking.content.views import View

SHARED_VIEW = "mlflow.sharedViewState."  # before the key, a tag of the experiment
VIEW_KEY = "viewStateShareKey"  # in the address
CHARTS_SHOWN = "compareRunsMode=CHART"  # in the address
FOR_TRAINING = "workflowType=machine_learning"  # in the address: pages for training, not those for agents
PACKED = "deflate;"  # then zlib's stream in base64
_SPACE = uuid.UUID("6f0a2c1e-7d0c-4c55-9f0b-6a1d7f3b9c42")  # ids are equal each time a view is made
_MOST_RUNS = 50


def address_of(view: View, experiment_id: str) -> str:
    """Where the view is shown, below the server's address."""
    return f"#/experiments/{experiment_id}/runs?{CHARTS_SHOWN}&{FOR_TRAINING}&{VIEW_KEY}={view.key}"


def tag_of(view: View) -> tuple[str, str]:
    """The tag of the experiment that keeps it: name and value."""
    packed = base64.b64encode(zlib.compress(json.dumps(_state(view)).encode())).decode()
    return f"{SHARED_VIEW}{view.key}", f"{PACKED}{packed}"


def _state(view: View) -> dict[str, Any]:
    section = _id(view, "section")
    columns = ["attributes.`Dataset`", *(f"params.`{name}`" for name in view.params)]
    columns += [f"metrics.`{name}`" for name in view.metrics]
    return {
        "searchFilter": view.runs,
        "orderByKey": f"metrics.`{view.metrics[0]}`",  # by time, trials lie folded below their parent
        "orderByAsc": False,
        "selectedColumns": columns,
        "compareRunCharts": [{**chart, "metricSectionId": section} for chart in _charts(view)],
        "compareRunSections": [{"uuid": section, "name": view.title, "display": True, "isReordered": False}],
        "isAccordionReordered": True,  # else sections are sorted, and ours is somewhere among them
        "runsHiddenMode": "SHOW_ALL",
    }


def _charts(view: View) -> list[dict[str, Any]]:
    charts = [_chart(view, "BAR", name, metricKey=name) for name in view.metrics]
    if view.params:
        axes = {"selectedParams": list(view.params), "selectedMetrics": [view.metrics[0]]}
        charts.append(_chart(view, "PARALLEL", "parallel", **axes, showAllRuns=False))
    for key in view.images:
        charts.append(_chart(view, "IMAGE", key, imageKeys=[key], step=0, showRunParams=False))
    for name in view.curves:
        line = {"metricKey": name, "selectedMetricKeys": [name], "xAxisKey": "step", "lineSmoothness": 0}
        charts.append(_chart(view, "LINE", name, **line))
    return charts


def _chart(view: View, kind: str, name: str, **words: Any) -> dict[str, Any]:
    usual = {"uuid": _id(view, f"{kind}/{name}"), "runsCountToCompare": _MOST_RUNS, "deleted": False}
    return {"type": kind, **usual, "isGenerated": False, **words}


def _id(view: View, name: str) -> str:
    return uuid.uuid5(_SPACE, f"{view.key}/{name}").hex
