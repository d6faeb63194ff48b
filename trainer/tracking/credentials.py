"""The name and password that MLflow is shown, from where both the jobs and the service take them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

from trainer.base.errors import RegionRebalanceError
from trainer.base.secret_files import SecretRefused, read_secret

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"  # MLflow's own variables
PASSWORD_FILE = "MLFLOW_TRACKING_PASSWORD_FILE"  # ours: its password, read each time it is shown


class CredentialsRefused(RegionRebalanceError):
    """A name without a password, a password without a name, or a file that may not hold one."""


class Credentials(NamedTuple):
    """`password` stays out of `repr`."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"


def mlflow_credentials(environment: Mapping[str, str]) -> Credentials | None:
    """What the environment names, the file before the variable; None where nothing is asked for.

    Raises:
        CredentialsRefused: naming the variable, never the password.
    """
    username = environment.get(USERNAME, "").strip()
    named = environment.get(PASSWORD_FILE, "").strip()
    password = _read(named) if named else environment.get(PASSWORD, "")
    if not username and not password:
        return None
    if not username or not password:
        missing, there = (USERNAME, PASSWORD) if password else (f"{PASSWORD} or …_FILE", USERNAME)
        raise CredentialsRefused(f"{missing}: is missing beside {there}; allowed: both or none")
    return Credentials(username, password)


def show_credentials(environment: MutableMapping[str, str]) -> None:
    """Puts a file's password where MLflow's client looks for it: in this process, and those that it starts.

    Raises:
        CredentialsRefused: see `mlflow_credentials`.
    """
    found = mlflow_credentials(environment)
    if found is not None and environment.get(PASSWORD_FILE):
        environment[PASSWORD] = found.password


def _read(named: str) -> str:
    try:
        found = read_secret(Path(named), "MLflow's password")
    except SecretRefused as error:
        raise CredentialsRefused(f"{PASSWORD_FILE}: {error}") from None
    if not found:
        raise CredentialsRefused(f"{PASSWORD_FILE}: {named}: is empty; allowed: MLflow's password")
    return found
