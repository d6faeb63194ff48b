"""An own model as it is trained on a CPU, in mmengine's terms."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.trainer.tiny_mmseg import K
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.own.model import whole_config


def rendered(config: dict[str, Any], num_classes: int = K) -> dict[str, Any]:
    """What a job makes of an own model: classes and settings filled in, synchronised batch norm exchanged."""
    text = json.dumps(whole_config(config)).replace('"SyncBN"', '"BN"')
    model: dict[str, Any] = json.loads(text)
    for name in ("decode_head", "auxiliary_head"):
        heads = model.get(name) or []
        for head in heads if isinstance(heads, list) else [heads]:
            head["num_classes"] = num_classes
    revived: dict[str, Any] = revive({**model, "train_cfg": {}, "test_cfg": {"mode": "whole"}})
    return revived
