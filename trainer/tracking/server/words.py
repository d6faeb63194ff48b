"""What an MLflow server itself says: its client keeps only "too many 503 error responses" of it.

Uses what lies below MLflow's public client: seen in 3.17, held by `tests/contract/test_tracker.py`.
"""

from __future__ import annotations

import json
from contextlib import suppress

_SECONDS = 5
_TAG = {"key": "rebalance.tracked", "value": "1"}  # any small write will do


def words_of(uri: str, *, run_id: str, experiment_id: str) -> str | None:
    """The server's answer to a small write to the run, else to the experiment; None where none can be had."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    if not uri.startswith(("http://", "https://")) or not (run_id or experiment_id):
        return None
    path = "runs/set-tag" if run_id else "experiments/set-experiment-tag"
    document = {**_TAG, **({"run_id": run_id} if run_id else {"experiment_id": experiment_id})}
    with suppress(Exception):  # whatever it was, the client's own words remain
        answer = http_request(
            get_default_host_creds(uri),
            f"/api/2.0/mlflow/{path}",
            "POST",
            json=document,
            max_retries=0,
            raise_on_status=False,
            timeout=_SECONDS,
        )
        if answer.status_code >= 500:
            return f"error code {answer.status_code}: {_message(answer.text)}"
    return None


def _message(text: str) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text
