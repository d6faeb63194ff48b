"""What the command line and the environment ask for, and the token that is shown."""

from __future__ import annotations

import argparse
import os
import stat
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .api import Server, basic, is_loopback

_USUAL_FILE = Path("~/.config/rebalance/token")
_EPILOG = """the token is, in this order: TOKEN, which everybody on this machine can read in the list of
processes; REBALANCE_TOKEN; the file that REBALANCE_TOKEN_FILE names; ~/.config/rebalance/token. Over plain
http it goes to this machine only, unless REBALANCE_ALLOW_HTTP=1. MLflow's log-in at --mlflow is
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. A certificate of one's own: SSL_CERT_FILE.
Words go to stderr, one line of JSON to stdout.
exit codes: 0 all steps passed; 1 one failed; 2 bad command line; 129, 130 and 143 interrupted"""


@dataclass(frozen=True)
class Options:
    """What is to be tried, and where."""

    api: Server
    mlflow: Server | None
    gpus: int
    data: str | None
    limit_seconds: float


class _Parser(argparse.ArgumentParser):
    """One line for a mistake, instead of the usage in full."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"smoke: {message}; see smoke.sh --help\n")


def read_options(arguments: Sequence[str] | None, environment: Mapping[str, str] | None = None) -> Options:
    """The options; leaves the process with 2 where they cannot be meant."""
    parser, variables = _parser(), os.environ if environment is None else environment
    given = parser.parse_args(arguments)
    if given.data and not given.gpus:
        parser.error("--data: is of the row that --gpus trains; allowed: with --gpus N")
    user = variables.get("MLFLOW_TRACKING_USERNAME", "")
    login = basic(user, variables.get("MLFLOW_TRACKING_PASSWORD", "")) if user else ""
    try:
        token = _token(given.token, variables)
        _may_go_to(given.url, token, variables)
        if given.mlflow:
            _may_go_to(given.mlflow, login, variables)
    except ValueError as error:
        parser.error(str(error))
    return Options(
        api=Server(given.url, f"Bearer {token}" if token else ""),
        mlflow=Server(given.mlflow, login) if given.mlflow else None,
        gpus=given.gpus,
        data=given.data,
        limit_seconds=given.limit,
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="smoke.sh",
        description="One run through a deployment: ready, an experiment with its report and MLflow run, a\n"
        "cancelled one, a sweep of two, a prediction. What it makes there stays, with the tag smoke.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "url", metavar="URL", type=_url, help="the API's address, such as https://lab.example"
    )
    parser.add_argument(
        "token", metavar="TOKEN", nargs="?", help="a user's; better kept in a file: see below"
    )
    text = "also a row of the paper, 20 steps on N workers with a GPU each"
    parser.add_argument("--gpus", metavar="N", type=_count, default=0, help=text)
    text = "the row's data, such as data:ade20k; without it the built-in scenes"
    parser.add_argument("--data", metavar="ROOT", help=text)
    text = "where MLflow answers from here, if elsewhere than the service says; it must have the run then"
    parser.add_argument("--mlflow", metavar="URL", type=_url, help=text)
    text = "how long each step may take (600); more where nodes must be started first"
    parser.add_argument("--limit", metavar="SECONDS", type=_count, default=600, help=text)
    return parser


def _url(text: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; allowed: http://HOST:PORT or https://HOST")
    if "@" in parts.netloc:
        raise argparse.ArgumentTypeError("no user or password in an address; allowed: see --help")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: an integer from 1 to 100000")
    return int(text)


def _token(given: str | None, variables: Mapping[str, str]) -> str:
    """Raises ValueError: its file is open to others, or not there."""
    if given is not None:
        return given.strip()
    if "REBALANCE_TOKEN" in variables:
        return variables["REBALANCE_TOKEN"].strip()
    named = variables.get("REBALANCE_TOKEN_FILE")
    file = Path(named or _USUAL_FILE).expanduser()
    if not named and not file.exists():
        return ""
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ValueError(f"{file}: others can read or write it; allowed: chmod 600 {file}")
        return file.read_text().strip()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}; allowed: a file with a token") from None


def _may_go_to(url: str, secret: str, variables: Mapping[str, str]) -> None:
    """Raises ValueError: the secret would go over a network as it is."""
    if not secret or not url.startswith("http://") or is_loopback(url):
        return
    if variables.get("REBALANCE_ALLOW_HTTP") != "1":
        raise ValueError(
            f"{url}: over plain http a token or password could be read on the way; allowed: https, or "
            "REBALANCE_ALLOW_HTTP=1 on a network of one's own"
        )
