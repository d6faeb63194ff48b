"""What makes two sweeps the same but for when they run."""

from __future__ import annotations

import hashlib
import json

from sweeps.document.spec import SweepSpec
from trainer.spec.spec import spec_hash


def sweep_hash(sweep: SweepSpec) -> str:
    """SHA-256 of what its trials and its table follow from, 64 hexadecimal digits.

    Name and tags are a part of it, as of an experiment's; how it is queued and how many trials run at a time
    are not. Words at their defaults are left out, so that it stays when others are added. Variants count in
    their order: the first is the table's reference.
    """
    document = sweep.model_dump(
        mode="json", exclude_defaults=True, exclude={"base", "scheduling", "variants"}
    )
    document.get("limits", {}).pop("concurrent_trials", None)
    if not document.get("limits"):
        document.pop("limits", None)
    document["base"] = spec_hash(sweep.base)
    document["variants"] = [[name, each.model_dump(mode="json")] for name, each in sweep.variants.items()]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
