"""Where an instance answers, and how a client on the same machine finds it. Quick to import."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "endpoints.json"
DEFAULT_API = "http://127.0.0.1:8000"
DEFAULT_DIRECTORIES = (Path(".rebalance"), Path("~/.rebalance"))  # of `make serve`, and of `rebalance serve`


@dataclass(frozen=True)
class Endpoints:
    """URLs of one instance; `ray` is the Jobs API."""

    api: str
    mlflow: str
    ray: str

    def to_json(self) -> dict[str, str]:
        """As endpoints.json has it."""
        return asdict(self)


def read_endpoints(directory: Path) -> Endpoints | None:
    """What `directory`/endpoints.json says; None where there is none or it is damaged."""
    try:
        document = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    match document:
        case {"api": str(api), "mlflow": str(mlflow), "ray": str(ray)}:
            return Endpoints(api, mlflow, ray)
    return None


def find_api(directories: Sequence[Path] = DEFAULT_DIRECTORIES) -> str | None:
    """The API of the first directory that names one."""
    for directory in directories:
        if (endpoints := read_endpoints(directory.expanduser())) is not None:
            return endpoints.api
    return None
