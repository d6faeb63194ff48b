"""Where Ray's token is found, and what is said where it is not."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from service.reconcile.cluster import BackendUnreachable
from service.reconcile.jobs_api import RayToken


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("of-the-file\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("variables", "token"),
    [
        ({}, None),
        ({"RAY_AUTH_TOKEN": " a-token\n"}, "a-token"),
        ({"RAY_AUTH_TOKEN": "a-token", "RAY_AUTH_TOKEN_PATH": "FILE"}, "a-token"),
        ({"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "FILE"}, "of-the-file"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "FILE"}, "of-the-file"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "a-token", "RAY_AUTH_TOKEN_PATH": "FILE"}, None),
    ],
)
def test_where_it_is_found(variables: dict[str, str], token: str | None, file: Path) -> None:
    """The variable before the file; neither where the mode says that there is no authentication."""
    given = {name: str(file) if value == "FILE" else value for name, value in variables.items()}
    assert RayToken(given).token() == token


def test_the_file_of_ray_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mode alone it is ~/.ray/auth_token, where `ray get-auth-token --generate` writes it: open to
    others, which is told with the command that closes it.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    own = tmp_path / ".ray/auth_token"
    own.write_text("own", encoding="utf-8")
    own.chmod(0o644)
    with pytest.raises(BackendUnreachable, match=f"chmod 600 {own}"):
        RayToken({"RAY_AUTH_MODE": "token"}).token()
    own.chmod(0o600)
    assert RayToken({"RAY_AUTH_MODE": "token"}).token() == "own"
    assert RayToken({}).token() is None


def test_a_new_token_needs_no_restart(file: Path) -> None:
    """The file is read for each request."""
    token = RayToken({"RAY_AUTH_TOKEN_PATH": str(file)})
    assert _shown(token) == "Bearer of-the-file"
    file.write_text("another", encoding="utf-8")
    assert _shown(token) == "Bearer another"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two words", "ü".encode(), b"\xff", b"a\x00b"])
def test_what_is_no_token(content: bytes | None, file: Path) -> None:
    """Told with the variable and the file; what is in it is not shown."""
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(BackendUnreachable, match="RAY_AUTH_TOKEN_PATH") as told:
        RayToken({"RAY_AUTH_TOKEN_PATH": str(file)}).token()
    assert str(file) in str(told.value)
    assert "two words" not in str(told.value)


def _shown(token: RayToken) -> str:
    request = next(token.auth_flow(httpx.Request("GET", "http://ray")))
    return request.headers["Authorization"]
