"""Names that MLflow gives a meaning to: seen in 3.17, held by `tests/contract/test_tracker.py`.

mlflow itself is not imported here: it takes 2 s, and the service loads without it.
"""

from __future__ import annotations

PARENT_RUN = "mlflow.parentRunId"  # a tag: the run that this one is shown below
NOTE = "mlflow.note.content"  # a tag: the description, shown above the run
# A tag of no documented form: JSON, [{"path": …, "type": "table"}] for each artifact shown as a table.
# mlflow.log_table sets it too, but appends to the table, and ours is rewritten.
LOGGED_ARTIFACTS = "mlflow.loggedArtifacts"
