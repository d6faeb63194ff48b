"""Names that MLflow gives a meaning to: seen in 3.17, held by `tests/contract/test_tracker.py`.

mlflow itself is not imported here: it takes 2 s, and the service loads without it.
"""

from __future__ import annotations

PARENT_RUN = "mlflow.parentRunId"  # a tag: the run that this one is shown below
NOTE = "mlflow.note.content"  # a tag: the description, shown above the run
# A tag of no documented form: JSON, [{"path": …, "type": "table"}] for each artifact shown as a table.
# mlflow.log_table sets it too, but appends to the table, and ours is rewritten.
LOGGED_ARTIFACTS = "mlflow.loggedArtifacts"
# A tag of an experiment: which pages of the interface stand in front; in ours models are trained.
KIND, OF_MODELS = "mlflow.experimentKind", "custom_model_development"
# A tag of a run: there are pictures below `images/`, named KEY+step+STEP+timestamp+MS+ID.png and, for lists
# of many, …+compressed.webp, with `~` for the slashes of KEY. mlflow.log_image makes them with a new ID each
# time, so what is sent again would be there twice.
LOGGED_IMAGES = "mlflow.loggedImages"
IMAGES = "images"
IMAGE_NAME = "{key}+step+{step}+timestamp+{milliseconds}+{id}"
SMALL_IMAGE = "+compressed"
CONTEXT = "mlflow.data.context"  # a tag of a data set where a run names it: what it was used for
