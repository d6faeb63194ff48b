"""The MLflow container: MLflow's server with its own log-in on, its secrets from files.

No secret is part of a command line or of what `docker inspect` shows. Variables, all needed:
    MLFLOW_BACKEND_STORE_URI, MLFLOW_AUTH_DATABASE_URI    databases, without a password
    MLFLOW_ARTIFACTS_DESTINATION                          s3://BUCKET, made where there is none
    PGPASSWORD_FILE, MLFLOW_AUTH_ADMIN_PASSWORD_FILE, MLFLOW_FLASK_SERVER_SECRET_KEY_FILE
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

_FROM_FILES = ("PGPASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
_LOG_IN = Path("/tmp/log-in.ini")
_STORE_SECONDS = 60.0


class NotConfigured(Exception):
    """A variable or a file is missing; the message names it, and no secret."""


def variable(name: str) -> str:
    """The variable's text; raises NotConfigured where it is missing or empty."""
    if text := os.environ.get(name):
        return text
    raise NotConfigured(f"{name} is missing")


def secrets() -> dict[str, str]:
    """The variables that MLflow, libpq and Flask read, from the files that NAME_FILE names."""
    found = {}
    for name in _FROM_FILES:
        file = variable(f"{name}_FILE")
        try:
            found[name] = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise NotConfigured(f"{name}_FILE: {file}: {error.strerror}") from None
        if not found[name]:
            raise NotConfigured(f"{name}_FILE: {file} is empty")
    return found


def write_log_in() -> None:
    """What MLflow's log-in is told by a file only. Who is let in may read; more is given person by person."""
    _LOG_IN.touch(mode=0o600)
    _LOG_IN.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        "auth_cache_ttl_seconds = 60\n"  # else every point of a curve costs a hash made to be slow
        f"database_uri = {variable('MLFLOW_AUTH_DATABASE_URI')}\n"
        f"admin_username = {os.environ.get('MLFLOW_AUTH_ADMIN_USERNAME') or 'admin'}\n",
        encoding="utf-8",
    )


def make_bucket(destination: str) -> None:
    """Makes the bucket where there is none; the store may still be starting.

    Raises:
        NotConfigured: it does not answer in time, or refuses the keys.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(destination)
    if parts.scheme != "s3" or not parts.netloc:
        raise NotConfigured("MLFLOW_ARTIFACTS_DESTINATION: allowed: s3://BUCKET")
    brief = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 1})
    store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"), config=brief)
    deadline = time.monotonic() + _STORE_SECONDS
    while (trouble := _make(store, parts.netloc, (BotoCoreError, ClientError))) is not None:
        if time.monotonic() > deadline:
            raise NotConfigured(f"{destination}: {trouble}")
        time.sleep(1)


def _make(store: Any, bucket: str, failures: tuple[type[Exception], ...]) -> Exception | None:
    """One try; what went wrong."""
    try:
        if bucket not in {each["Name"] for each in store.list_buckets()["Buckets"]}:
            store.create_bucket(Bucket=bucket)
    except failures as error:
        return error
    return None


def main() -> NoReturn:
    """Becomes the server; ends with 2 where something is missing."""
    try:
        os.environ.update(secrets())
        write_log_in()
        make_bucket(variable("MLFLOW_ARTIFACTS_DESTINATION"))
        variable("MLFLOW_BACKEND_STORE_URI")
    except NotConfigured as error:
        print(f"mlflow: {error}", file=sys.stderr)
        sys.exit(2)
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(_LOG_IN)
    workers = os.environ.get("MLFLOW_WORKERS") or "2"
    command = ["mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0", "--port", "5000"]
    os.execvp("mlflow", [*command, "--workers", workers])


if __name__ == "__main__":
    main()
