"""What is measured: printed, and kept in the file that DEPLOY_WRITE names, where a campaign asks for it."""

from __future__ import annotations

import json
from typing import Any

from tests.kept import keep_in


def keep(part: str, name: str, value: Any) -> None:
    """Prints it, and puts it into the part `containers` of the file, beside what other tests keep there."""
    print(json.dumps({name: value}), flush=True)

    def change(kept: dict[str, Any]) -> None:
        kept.setdefault("containers", {}).setdefault(part, {})[name] = value

    keep_in("DEPLOY_WRITE", change)
