"""What is measured: printed, and kept in the file that DEPLOY_WRITE names, where a campaign asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def keep(part: str, name: str, value: Any) -> None:
    """Prints it, and puts it into the part `containers` of the file, beside what other tests keep there."""
    print(json.dumps({name: value}), flush=True)
    if wanted := os.environ.get("DEPLOY_WRITE"):
        file = Path(wanted)
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        kept.setdefault("containers", {}).setdefault(part, {})[name] = value
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
