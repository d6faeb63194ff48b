"""What lies in MLflow's bin, as far as it takes room: asked of its REST API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

Ask = Callable[..., dict[str, Any] | None]

_PAGE = 1000
_ALL = {"view_type": "ALL"}
_MOST_FILES = 10_000  # of one run: no loop over an answer that never ends


def binned(ask: Ask, artifacts: str, wanted: Collection[str]) -> dict[str, int]:
    """Bytes of what runs in the bin had logged, of those `wanted` that are there and have anything left.

    Args:
        ask: one request of the API; what it raises is raised.
        artifacts: the address of MLflow's own store, the only one that is looked into.
    """
    found: dict[str, int] = {}
    groups = [str(each["experiment_id"]) for each in _pages(ask, "/experiments/search", "experiments", _ALL)]
    if not wanted or not groups:
        return found
    query = {"experiment_ids": groups, "run_view_type": "DELETED_ONLY"}
    for run in _pages(ask, "/runs/search", "runs", query):
        info = run.get("info", {})
        place = place_of(str(info.get("artifact_uri", "")))
        if info.get("run_id") in wanted and place is not None:
            size = _size(ask, artifacts, place)
            if size is not None:
                found[info["run_id"]] = size
    return found


def place_of(artifact_uri: str) -> str | None:
    """Where a run's artifacts lie in the store that MLflow hands on itself; None where they lie elsewhere."""
    parts = urlsplit(artifact_uri)
    return parts.path.strip("/") or None if parts.scheme == "mlflow-artifacts" else None


def _pages(ask: Ask, path: str, name: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    token: str | None = None
    while True:
        sent = {**query, "max_results": _PAGE, **({"page_token": token} if token else {})}
        answer = ask("POST", path, json=sent) or {}
        yield from answer.get(name, ())
        token = answer.get("next_page_token")
        if not token:
            return


def _size(ask: Ask, artifacts: str, place: str) -> int | None:
    """Bytes of all files there, None where there is none."""
    sizes: list[int] = []
    folders = [place]
    while folders and len(sizes) < _MOST_FILES:
        here = folders.pop()
        for each in (ask("GET", artifacts, params={"path": here}) or {}).get("files", ()):
            if each.get("is_dir"):
                folders.append(f"{here}/{each['path']}")
            else:
                sizes.append(int(each.get("file_size", 0)))
    return sum(sizes) if sizes else None
