"""What a campaign counts, kept in the JSON file that it names, beside what others keep there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def keep_in(variable: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the document in the file that an environment variable names; nothing where it is not set."""
    if wanted := os.environ.get(variable):
        file = Path(wanted)
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        change(kept)
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
