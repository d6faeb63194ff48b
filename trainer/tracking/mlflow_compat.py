"""What MLflow does not document: seen in 3.17, held by `tests/contract/test_tracker.py`.

mlflow itself is not imported here: it takes 2 s, and the service loads without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARENT_RUN = "mlflow.parentRunId"  # a tag: the run that this one is shown below
NOTE = "mlflow.note.content"  # a tag: the description, shown above the run
# A tag of no documented form: JSON, [{"path": …, "type": "table"}] for each artifact shown as a table.
# mlflow.log_table sets it too, but appends to the table, and ours is rewritten.
LOGGED_ARTIFACTS = "mlflow.loggedArtifacts"


def post_once(uri: str, path: str, document: Mapping[str, str], *, seconds: float) -> tuple[int, str]:
    """The status and the text with which the server answers: its public client keeps neither.

    Raises:
        Exception: whatever the client and its HTTP library raise where nobody answers.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    options: dict[str, Any] = {"max_retries": 0, "raise_on_status": False, "timeout": seconds}
    host = get_default_host_creds(uri)
    answer = http_request(host, f"/api/2.0/mlflow/{path}", "POST", json=dict(document), **options)
    return int(answer.status_code), str(answer.text)
