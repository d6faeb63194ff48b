"""The command line, against the real application over a fake cluster."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from service.cli.main import build_parser, main
from service.client import RebalanceClient
from service.reconcile.reconciler import Reconciler, utc_now
from service.store.experiments import Store
from tests.data_factories import make_report, spec_document
from tests.unit.service.served import Service, until
from trainer.base.ends import ExitCode
from trainer.results.report import AttemptError, write_report

# Loading one of these would cost more than asking the API does.
HEAVY = {
    "numpy",
    "ray",
    "fastapi",
    "starlette",
    "sqlalchemy",
    "alembic",
    "torch",
    "pandas",
    "uvicorn",
    "psutil",
}


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec_document(name="from a file")))
    return path


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def _stored(service: Service, **changes: Any) -> str:
    with RebalanceClient(service.url) as client:
        return client.submit(spec_document(**changes)).id


def _end(service: Service, experiment_id: str, error: AttemptError | None = None) -> None:
    """What the job leaves, and the reconciler's passes until it is taken in."""
    report = make_report(experiment_id)
    if error is not None:
        report = report.model_copy(update={"state": "failed", "result": None, "error": error})
    store = Store(service.settings.database)
    reconciler = Reconciler(store, service.backend, service.settings, runs=None)
    write_report(report, service.settings.layout.attempt(experiment_id, 1).report)

    def ended() -> bool:
        reconciler.run_once(utc_now())
        return store.get(experiment_id).state.ended

    until(ended)
    store.close()


def test_api_commands_load_nothing_heavy() -> None:
    """Half a second for a command leaves no room for numpy, Ray, FastAPI or a database."""
    modules = (
        "service.cli.main, service.cli.experiments, service.cli.tables.experiments, service.cli.progress"
    )
    code = f"import {modules}, sys; print(*(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_commands_are_parsed_without_the_spec() -> None:
    """Its classes take a tenth of a second to make, and most commands hand documents on as they are."""
    code = (
        "import service.cli.main as main, sys; main.build_parser().parse_args(['list']); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"trainer.spec.spec", "trainer.spec.models", "sweeps.document.spec"} & set(
        loaded.stdout.split()
    )


@pytest.mark.parametrize(
    "words",
    [
        *(["submit", "-"], ["list"], ["show", "e"], ["logs", "e"], ["compare", "e"], ["cancel", "e"]),
        *(
            ["retry", "e"],
            ["reproduce", "table1", "--dataset", "d", "--model", "m"],
            ["datasets"],
            ["models"],
        ),
        *(
            ["methods"],
            ["serve"],
            ["demo"],
            ["sweep", "submit", "-"],
            ["sweep", "list"],
            ["sweep", "show", "s"],
        ),
        *(
            ["sweep", "table", "s"],
            ["sweep", "watch", "s"],
            ["sweep", "cancel", "s"],
            ["sweep", "pause", "s"],
        ),
        ["sweep", "resume", "s"],
    ],
    ids=" ".join,
)
def test_every_command_has_its_function(words: list[str]) -> None:
    """Named in the parser and loaded late, it is there."""
    (name,) = build_parser().parse_args(words).func.args
    assert callable(resolve_name(f"service.cli.{name}"))


def test_submit_prints_the_experiment(
    service: Service, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for people, the stored experiment for programs; the same key stores once."""
    assert main(["submit", str(spec_file), "--api", service.url]) == 0
    assert "from a file: queued" in capsys.readouterr().out
    command = ["submit", str(spec_file), "--api", service.url, "--json", "--idempotency-key", "cli"]
    assert main(command) == 0
    first = _json(capsys)
    assert first["spec"]["name"] == "from a file"
    assert main(command) == 0
    assert _json(capsys)["id"] == first["id"]


def test_letters_the_terminal_lacks(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name outside the terminal's encoding ends no command; JSON is UTF-8 wherever it goes."""
    _stored(service, name="Straße 木")

    def printed(*options: str) -> bytes:
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
        assert main(["list", "--api", service.url, *options]) == 0
        return raw.getvalue()

    assert rb"Stra\xdfe" in printed()
    assert json.loads(printed("--json"))["items"][0]["name"] == "Straße 木"


def test_submit_reads_stdin(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` is standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec_document(name="piped"))))
    assert main(["submit", "-", "--api", service.url]) == 0
    assert "piped: queued" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            json.dumps(spec_document(method={"kind": "region_rebalance", "lambda": -1})),
            ["/method/lambda: -1"],
        ),
        (json.dumps(spec_document(seed="x", model="huge")), ["/model", "/seed"]),
        ('{"dataset": ', ["line 1"]),
        ("x" * 1_000_001, ["bytes"]),
    ],
)
def test_bad_specs_end_with_2_and_the_problem_lines(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, lines: list[str]
) -> None:
    """The pointer of every problem, on stderr, no traceback; --json gives the problem document there."""
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert main(["submit", str(path), "--api", service.url]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(line in captured.err for line in lines)
    assert "Traceback" not in captured.err
    assert main(["submit", str(path), "--api", service.url, "--json"]) == ExitCode.BAD_INPUT
    assert 400 <= json.loads(capsys.readouterr().err)["status"] < 500


def test_a_missing_file_is_one_line(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the argument, the file and what is allowed."""
    assert main(["submit", "nowhere.json", "--api", service.url]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "nowhere.json" in err
    assert "allowed" in err


@pytest.mark.parametrize(
    "argv",
    [[], ["fly"], ["show"], ["list", "--limit", "0"], ["submit", "a", "b"], ["serve", "--port", "x"]],
)
def test_wrong_arguments_are_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what is wrong, and where help is."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--help" in err


def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and one line, with the address or the directory that was looked at."""
    assert main(["list", "--api", "http://127.0.0.1:9"]) == ExitCode.UNREACHABLE
    assert "no answer from http://127.0.0.1:9" in capsys.readouterr().err
    assert main(["list", "--data-dir", str(tmp_path)]) == ExitCode.UNREACHABLE
    assert f"rebalance serve --data-dir {tmp_path}" in capsys.readouterr().err
    assert main(["list", "--api", "nonsense"]) == ExitCode.UNREACHABLE


def test_the_api_is_found_in_this_order(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--api, --data-dir, REBALANCE_API, REBALANCE_DATA_DIR, ./.rebalance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["list", "--data-dir", str(service.directory)]) == 0
    monkeypatch.setenv("REBALANCE_API", "http://127.0.0.1:9")
    assert main(["list", "--data-dir", str(service.directory)]) == 0
    assert main(["list"]) == ExitCode.UNREACHABLE
    monkeypatch.setenv("REBALANCE_API", service.url)
    assert main(["list"]) == 0
    monkeypatch.delenv("REBALANCE_API")
    monkeypatch.setenv("REBALANCE_DATA_DIR", str(service.directory))
    assert main(["list"]) == 0
    monkeypatch.delenv("REBALANCE_DATA_DIR")
    (tmp_path / ".rebalance").symlink_to(service.directory)
    assert main(["list"]) == 0
    capsys.readouterr()


def test_list_show_and_cancel(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole ids in the table, the events under the experiment, the wish to cancel in its state."""
    wanted = _stored(service, name="shown [red]", tags={"cli": "list"})
    assert main(["list", "--tag", "cli:list", "--api", service.url]) == 0
    table = capsys.readouterr().out
    assert wanted in table
    assert "shown [red]" in table
    assert main(["list", "--tag", "cli:list", "--json", "--api", service.url]) == 0
    assert [item["id"] for item in _json(capsys)["items"]] == [wanted]
    assert main(["cancel", wanted, "--api", service.url]) == 0
    assert "cancel requested" in capsys.readouterr().out
    assert main(["show", wanted, "--api", service.url]) == 0
    shown = capsys.readouterr().out
    assert "reason" in shown
    assert "baseline" in shown
    assert main(["show", wanted, "--json", "--api", service.url]) == 0
    assert _json(capsys)["cancel_requested_at"] is not None
    assert main(["list", "--state", "flying", "--api", service.url]) == ExitCode.BAD_INPUT
    assert main(["show", "nothing", "--api", service.url]) == ExitCode.BAD_INPUT


def test_wait_ends_with_the_experiment(
    service: Service, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 with the scores when it completes, 1 with the error when it fails."""
    command = ["submit", str(spec_file), "--wait", "--api", service.url, "--idempotency-key"]
    for key, error in (("good", None), ("bad", AttemptError(type="DataError", message="label 77"))):
        assert main([*command[:2], *command[3:], key, "--json"]) == 0  # without --wait: its id
        _end(service, _json(capsys)["id"], error)
        assert main([*command, key]) == (ExitCode.FAILED if error else 0)
        captured = capsys.readouterr()
        if error:
            assert "failed: DataError: label 77" in captured.err
        else:
            assert "completed  mIoU" in captured.out


def test_ctrl_c_says_that_the_experiment_goes_on(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to look at it again; a cancel still stands. Exit code 130."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RebalanceClient, "follow", interrupted)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec_document())))
    assert main(["submit", "-", "--wait", "--api", service.url]) == ExitCode.INTERRUPTED
    told = capsys.readouterr().err
    assert "the experiment goes on: rebalance show " in told
    assert main(["cancel", told.split()[-1], "--wait", "--api", service.url]) == ExitCode.INTERRUPTED
    assert "the cancel still stands: rebalance show " in capsys.readouterr().err


def test_logs_follow_to_the_end(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, byte for byte, a last line without a newline too; a JSON object a line with --json."""
    wanted = _stored(service)
    log = service.settings.layout.attempt(wanted, 1).log.local
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one\ntwo é")
    _end(service, wanted)
    assert main(["logs", wanted, "-f", "--api", service.url]) == 0
    assert capsys.readouterr().out == "one\ntwo é"
    assert main(["logs", wanted, "--json", "--api", service.url]) == 0
    lines = [json.loads(line)["line"] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["one", "two é"]


def test_compare(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with the difference to the first; the comparison for programs; an unfinished one is refused."""
    ids = [_stored(service), _stored(service)]
    for each in ids:
        _end(service, each)
    assert main(["compare", *ids, "--classes", "--api", service.url]) == 0
    out = capsys.readouterr().out
    assert "ΔmIoU" in out
    assert "+0.00" in out
    assert "note: " in out
    assert "Remark 1 held for " in out
    assert main(["compare", *ids, "--json", "--api", service.url]) == 0
    assert [row["experiment"] for row in _json(capsys)["rows"]] == ids
    assert main(["compare", *ids, "--mode", "single_scale", "--scores", "picture", "--api", service.url]) == 0
    assert "worst 5 %" in capsys.readouterr().out
    assert (
        main(["compare", *ids, "--json", "--scores", "picture", "--api", service.url]) == ExitCode.BAD_INPUT
    )
    assert "--scores: is for the terminal" in capsys.readouterr().err
    assert main(["compare", *ids, "--mode", "multi_scale", "--api", service.url]) == ExitCode.BAD_INPUT
    assert "was not scored in mode multi_scale; it has single_scale" in capsys.readouterr().err
    assert main(["compare", ids[0], _stored(service), "--api", service.url]) == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("command", "name"), [("datasets", "digit_scenes"), ("models", "small"), ("methods", "region_rebalance")]
)
def test_catalogues(service: Service, capsys: pytest.CaptureFixture[str], command: str, name: str) -> None:
    """Names in a table, and the items with their JSON schemas for programs."""
    assert main([command, "--api", service.url]) == 0
    assert name in capsys.readouterr().out
    assert main([command, "--json", "--api", service.url]) == 0
    items = {item["name"]: item for item in _json(capsys)["items"]}
    assert "schema" in items[name]


@pytest.mark.parametrize(
    "command",
    ["submit", "list", "show", "logs", "compare", "cancel", "datasets", "models", "methods", "serve", "demo"],
)
def test_every_command_takes_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json everywhere."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "--json" in capsys.readouterr().out
