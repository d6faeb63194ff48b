"""What an MLflow server itself says: its client keeps only "too many 503 error responses" of it."""

from __future__ import annotations

import json
from contextlib import suppress

from trainer.tracking.mlflow_compat import post_once

_SECONDS = 5
_TAG = {"key": "rebalance.tracked", "value": "1"}  # any small write will do


def words_of(uri: str, *, run_id: str, experiment_id: str) -> str | None:
    """The server's answer to a small write to the run, else to the experiment; None where none can be had."""
    if not uri.startswith(("http://", "https://")) or not (run_id or experiment_id):
        return None
    path = "runs/set-tag" if run_id else "experiments/set-experiment-tag"
    document = {**_TAG, **({"run_id": run_id} if run_id else {"experiment_id": experiment_id})}
    with suppress(Exception):  # whatever it was, the client's own words remain
        status, text = post_once(uri, path, document, seconds=_SECONDS)
        if status >= 500:
            return f"error code {status}: {_message(text)}"
    return None


def _message(text: str) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text
