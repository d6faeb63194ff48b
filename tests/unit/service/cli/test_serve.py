"""`serve` and `demo` at the door: refusals before anything starts, signals, the demo's specs."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from service.cli.instance.demo import METHODS, documents
from service.cli.instance.serve import stop_on_signals
from service.cli.main import main
from service.local.data_dir import DataDir
from tests.unit.service.served import until
from trainer.base.ends import ExitCode
from trainer.spec.spec import parse_spec


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_set_the_event(number: signal.Signals) -> None:
    """Each of them asks to stop, and a second one changes nothing; afterwards the old handlers are back."""
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        until(stop.is_set)
    assert signal.getsignal(number) is before


def test_a_served_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line, for `serve` and `demo`; nothing was started, no file replaced."""
    with DataDir(tmp_path).locked():
        for command in ("serve", "demo"):
            assert main([command, "--data-dir", str(tmp_path)]) == ExitCode.BAD_INPUT
            err = capsys.readouterr().err
            assert err.count("\n") == 1
            assert "is already being served" in err
    assert [path.name for path in tmp_path.iterdir()] == ["serve.lock"]


def test_a_port_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before Ray and MLflow start, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--data-dir", str(tmp_path), "--port", port]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"--port {port}" in err
    assert not (tmp_path / "processes.json").exists()


def test_refused_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings from flags and from the environment are judged alike."""
    assert main(["serve", "--data-dir", str(tmp_path), "--ray-address", "nowhere"]) == ExitCode.BAD_INPUT
    assert "REBALANCE_RAY_ADDRESS" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@host/db", "postgresql://me:p@hunter2@host/db"])
def test_a_password_on_the_command_line_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """Everybody can read a process's arguments; the message says where it may stand instead."""
    assert main(["serve", "--data-dir", str(tmp_path), "--database-url", url]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert "REBALANCE_DATABASE_URL" in err
    assert "hunter2" not in err


def test_a_file_of_rules_is_judged_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and one line, at once: not after Ray and MLflow have been waited for."""
    rules = tmp_path / "policy.toml"
    rules.write_text('[users.kim]\ngpus = "many"\n', encoding="utf-8")
    monkeypatch.setenv("REBALANCE_POLICY", str(rules))
    assert main(["serve", "--data-dir", str(tmp_path / "data"), "--port", "0"]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "/users/kim/gpus" in err
    assert not (tmp_path / "data").exists()


def test_demo_specs() -> None:
    """Three methods on the default schedule that differ in nothing else; fewer iterations if asked."""
    specs = [parse_spec(document) for document in documents(None)]
    assert [spec.method.kind for spec in specs] == [method["kind"] for method in METHODS]
    assert (
        len(
            {
                spec.model_copy(update={"name": "", "method": specs[0].method}).model_dump_json()
                for spec in specs
            }
        )
        == 1
    )
    assert all(parse_spec(document).schedule.iterations == 5 for document in documents(5))
