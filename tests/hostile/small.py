"""The smaller bodies: further steps, evaluations, exports, housekeeping; and ways to what is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.hostile.request import Hostile, text


def _body(**fields: Any) -> Callable[[], bytes]:
    return text(json.dumps(fields))


_OF = "/experiments/{trained}"
SMALL: dict[str, Hostile] = {
    "10^300 further steps": Hostile(
        _body(iterations=10**300), path=f"{_OF}/extend", status=422, pointer="/iterations"
    ),
    "1e400 further steps": Hostile(
        text('{"iterations": 1e400}'), path=f"{_OF}/extend", status=422, pointer="/iterations"
    ),
    "further steps, deep": Hostile(
        text("[" * 100_000), path=f"{_OF}/extend", status=400, told="nested too deeply"
    ),
    "a way as a rate": Hostile(
        _body(iterations=1, rate="../../etc"), path=f"{_OF}/extend", status=422, pointer="/rate"
    ),
    "a mode that runs": Hostile(
        _body(modes=["__import__('os').system('id')"]), path=f"{_OF}/evaluations", status=422
    ),
    "a checkpoint upwards": Hostile(
        _body(checkpoint="../../../etc/passwd"), path=f"{_OF}/evaluations", status=422, pointer="/checkpoint"
    ),
    "a format upwards": Hostile(
        _body(formats=["../onnx"]), path=f"{_OF}/exports", status=422, pointer="/formats/0"
    ),
    "housekeeping upwards": Hostile(
        _body(only=["../../etc"], dry_run=True), path="/admin/gc", status=422, pointer="/only/0"
    ),
    "housekeeping of 10^400 days": Hostile(
        _body(older_than="1" + "0" * 400 + "d", dry_run=True),
        path="/admin/gc",
        status=422,
        pointer="/older_than",
    ),
    "to delete upwards": Hostile(
        path="/experiments/..%2f..%2fetc?artifacts=true", method="DELETE", status=404, kind=""
    ),
    "to delete all": Hostile(path="/experiments/%2a?artifacts=true", method="DELETE", status=404, kind=""),
    "to delete a dot": Hostile(path="/experiments/%2e?artifacts=true", method="DELETE", status=404, kind=""),
}
