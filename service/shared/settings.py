"""Settings of the service, read once from the environment (prefix REBALANCE_) or given by the caller."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from service.shared.database_url import database_in, has_password, known_database
from service.shared.job_settings import JobSettings
from service.shared.log_lines import LogFormat
from service.shared.misspelt import misspelt
from service.shared.network.hosts import host_pattern, is_loopback, origin
from trainer.base.data_roots import DataRoot, absolute_root, parse_root, parse_roots, refuse_twins
from trainer.base.errors import RegionRebalanceError
from trainer.spec.capacity import parse_machines
from trainer.spec.recipes import Machines
from trainer.storage.layout import Storage

_PREFIX = "REBALANCE_"
_URL_FILE = "REBALANCE_DATABASE_URL_FILE"
ROOT_PATH = r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
_LONGEST_BYTES = 512  # below it lie run directories and SQLite's files


class SettingsError(RegionRebalanceError):
    """A setting is missing or refused; the message names its variable and what is allowed."""


class OwnDatabase(NamedTuple):
    """SQLite's file in the data directory."""

    file: Path
    url: str


class Settings(JobSettings):
    """Everything the service is told from outside. Fields that may hold a secret stay out of `repr`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,  # compose files hand an unset variable on as an empty one
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    data_dir: Path = Path("~/.rebalance")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    root_path: str = Field(default="", description="Path of a reverse proxy that leads here: /rebalance.")
    require_token: bool = Field(default=False, description="Also where only this machine can ask.")
    token_later: bool = Field(
        default=False, description="Starts though no token lets anybody in yet: it is made beside it."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Names that the service answers to, beside this machine's own."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Web pages of these origins may ask the API in a browser."
    )
    database_url: str | None = Field(default=None, repr=False)
    database_url_file: Path | None = Field(
        default=None, description="A file that holds the URL, instead; read at the start."
    )
    storage: Path | None = None
    ray_address: str | None = Field(default=None, description="URL of the Jobs API.")
    mlflow_uri: str | None = Field(default=None, description="Tracking URI, as the jobs can reach it.")
    mlflow_public_url: str | None = Field(
        default=None, description="Where browsers find it, if not at the tracking URI."
    )
    data_roots: Annotated[tuple[DataRoot, ...], NoDecode] = ()
    max_running: int = Field(default=2, ge=1, le=10_000)
    policy: Path | None = Field(default=None, description="Quotas and weights of the queue, in TOML.")
    max_cluster: Annotated[Machines | None, NoDecode] = Field(
        default=None, description="What the cluster may grow to, such as gpus=8,cpus=128."
    )
    poll_seconds: float = Field(default=1.0, ge=0.05, le=3600)
    max_picture_bytes: int = Field(
        default=64 << 20, ge=1024, le=1 << 31, description="A picture to be labelled must be smaller."
    )
    max_queued: int = Field(
        default=10_000, ge=1, le=10_000_000, description="Beyond it requests are refused for a while."
    )
    max_reads_per_second: float | None = Field(
        default=None, gt=0, le=1e6, description="Of each caller; none where nothing is set."
    )
    max_writes_per_second: float | None = Field(default=None, gt=0, le=1e6)
    log_format: LogFormat = "text"
    log_to_stderr: bool = Field(default=False, description="Instead of logs/service.log, as containers do.")
    job_python: str = Field(default="python", min_length=1)

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        """The environment gives one string, flags a list of them."""
        if isinstance(value, str):
            return parse_roots(value)
        return tuple(parse_root(each) if isinstance(each, str) else each for each in value)

    @field_validator("data_roots")
    @classmethod
    def _refuse_everything(cls, roots: tuple[DataRoot, ...]) -> tuple[DataRoot, ...]:
        absolute = tuple(absolute_root(root) for root in roots)
        if any(Path(root).resolve() == Path(Path(root).anchor) for root in absolute):
            raise ValueError(
                "the root of the file system would open every directory to requests; name data directories"
            )
        refuse_twins(absolute)
        return absolute

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        """The environment gives one string, with commas or blanks between."""
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _known_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(host_pattern, hosts))

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(origin, origins))

    @field_validator("max_cluster", mode="before")
    @classmethod
    def _parse_machines(cls, value: Any) -> Any:
        return parse_machines(value) if isinstance(value, str) else value

    @field_validator("data_dir", "storage", "policy")
    @classmethod
    def _usable(cls, path: Path | None) -> Path | None:
        """Absolute. What a part that is given the path could not take is refused before any is started."""
        if path is None:
            return None
        try:
            absolute = path.expanduser().absolute()
        except RuntimeError as error:  # nobody's home directory
            raise ValueError(f"{error}; allowed: a directory") from None
        text = str(absolute)
        if not text.isprintable():  # also bytes that are not UTF-8: they are halves of surrogate pairs here
            raise ValueError(f"{text!a} cannot be written down; allowed: printable characters in UTF-8")
        if len(os.fsencode(text)) > _LONGEST_BYTES:
            raise ValueError(f"is longer than {_LONGEST_BYTES} bytes; allowed: a shorter path")
        return absolute

    @field_validator("root_path")
    @classmethod
    def _plain_path(cls, path: str) -> str:
        bare = path.rstrip("/")
        if not re.fullmatch(ROOT_PATH, bare):
            raise ValueError("allowed: a path such as /rebalance, of letters, digits, '.', '_', '~' and '-'")
        return bare

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        return None if url is None else known_database(url)

    @field_validator("database_url_file", mode="before")
    @classmethod
    def _named_file(cls, file: Any) -> Any:
        """An empty variable names none."""
        return file or None

    @field_validator("ray_address")
    @classmethod
    def _ray_url(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("allowed: the URL of Ray's Jobs API, such as http://127.0.0.1:8265")
        if url is not None and "@" in urlsplit(url).netloc:  # it is shown, by /readyz too
            raise ValueError(
                "no user or password here; the token is read from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
            )
        return url.rstrip("/") if url is not None else None

    @field_validator("mlflow_uri")
    @classmethod
    def _no_password(cls, uri: str | None) -> str | None:
        """It stands in every job's command line, so a password in it would be public."""
        if uri is not None and (urlsplit(uri).password or urlsplit(uri).username):
            raise ValueError(
                "no user or password here; the jobs read MLFLOW_TRACKING_USERNAME and …_PASSWORD"
            )
        return uri.rstrip("/") if uri is not None else None

    @field_validator("mlflow_public_url")
    @classmethod
    def _page_url(cls, url: str | None) -> str | None:
        """It stands in documents that every viewer reads."""
        parts = urlsplit(url or "")
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
            raise ValueError("allowed: a URL such as https://mlflow.lab.example, no user or password in it")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _fill_defaults(self) -> Self:
        if self.storage is None:
            object.__setattr__(self, "storage", self.data_dir / "storage")
        if self.database_url is None:
            object.__setattr__(self, "database_url", self._database_told())
        elif self.database_url_file is not None:
            raise ValueError(f"{_URL_FILE}: not with REBALANCE_DATABASE_URL; allowed: one of the two")
        return self

    def _database_told(self) -> str:
        """The URL that the file holds, else the data directory's own."""
        if self.database_url_file is None:
            return self.own_database.url
        try:
            return database_in(self.database_url_file)
        except ValueError as error:
            raise ValueError(f"{_URL_FILE}: {error}") from None

    @property
    def own_database(self) -> OwnDatabase:
        """What is used where no setting names a database."""
        file = self.data_dir / "rebalance.db"
        return OwnDatabase(file, f"sqlite:///{quote(str(file))}")  # in a URL a ? begins the query

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine's processes reach the API."""
        return is_loopback(self.host)

    @property
    def closed(self) -> bool:
        """Whether requests need a token: wherever others could ask, and where it is asked for."""
        return self.require_token or not self.on_loopback

    @property
    def database(self) -> str:
        """The database's URL, the default filled in."""
        assert self.database_url is not None
        return self.database_url

    @property
    def layout(self) -> Storage:
        """Where the run directories lie."""
        assert self.storage is not None
        return Storage(self.storage)

    @property
    def mlflow_server(self) -> str | None:
        """The tracking URI where it is a server that answers HTTP."""
        uri = self.mlflow_uri
        return uri if uri is not None and uri.startswith(("http://", "https://")) else None

    @property
    def mlflow_pages(self) -> str | None:
        """Where a browser finds MLflow's pages, if a server has them."""
        return self.mlflow_server and (self.mlflow_public_url or self.mlflow_server)


def refuse_password(flag: str | None) -> None:
    """Refuses a database's URL with a password, given as a flag.

    Raises:
        SettingsError: saying where a password may stand instead.
    """
    if flag is not None and has_password(flag):
        raise SettingsError(
            "--database-url: a password on the command line can be read by everybody on this machine; "
            "set REBALANCE_DATABASE_URL or …_URL_FILE, or keep the password in ~/.pgpass"
        )


def load_settings(**given: Any) -> Settings:
    """Settings from the environment; what is `given` and not None goes before it.

    Raises:
        SettingsError: naming each refused variable, and each that is nearly one.
    """
    if wrong := misspelt(os.environ, [name.upper() for name in Settings.model_fields], prefix=_PREFIX):
        raise SettingsError("; ".join(wrong))
    told = {name: value for name, value in given.items() if value is not None}
    if "database_url" in told:  # before both variables
        told["database_url_file"] = None
    try:
        return Settings(**told)
    except ValidationError as error:
        lines = [_line(detail) for detail in error.errors(include_url=False, include_input=False)]
        raise SettingsError("; ".join(lines)) from None


def _line(detail: ErrorDetails) -> str:
    """One problem by its variable; what concerns several names them itself."""
    text = detail["msg"].removeprefix("Value error, ")
    name = "_".join(str(part) for part in detail["loc"][:1]).upper()
    return f"{_PREFIX}{name}: {text}" if name else text
