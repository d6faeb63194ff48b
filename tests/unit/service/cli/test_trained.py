"""Commands about a trained experiment, against the real application over a fake cluster."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from service.cli.experiments import BadArgument
from service.cli.main import build_parser, main
from service.cli.trained.checkpoints import Source
from service.cli.trained.followups import evaluation_document
from service.cli.trained.options import FORMATS, MODES
from service.cli.trained.programs import run_program
from service.client import RebalanceClient
from service.shared.states import State
from service.store.experiments import Store
from tests.data_factories import spec_document
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import new_row
from tests.unit.service.followup_job import failed_followup, followup_report, leave
from tests.unit.service.served import Service, ended_followup, until
from trainer.base.ends import ExitCode
from trainer.spec import evaluation
from trainer.spec.followups import Format


@pytest.fixture
def trained(service: Service) -> str:
    """An experiment with checkpoints, which has not ended."""
    with RebalanceClient(service.url) as client:
        identifier = client.submit(spec_document()).id
    leave_checkpoints(service.settings.layout, identifier, ("final", "iter_500"))
    return identifier


def run(service: Service, *words: str) -> int:
    return main([*words, "--api", service.url])


def asked_for(service: Service, experiment: str, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(service, "evaluate", experiment, "--json", *words) == 0
    return json.loads(capsys.readouterr().out)


def parsed(*words: str) -> argparse.Namespace:
    return build_parser().parse_args(["evaluate", "e1", *words])


def test_evaluate_and_its_list(service: Service, trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored with what the options say; the list has a line for each mode."""
    words = ("--mode", "single_scale", "--mode", "multi_scale", "--checkpoint", "iter_500")
    asked = asked_for(service, trained, capsys, *words)
    assert asked["request"]["modes"] == ["single_scale", "multi_scale"]
    assert asked["request"]["checkpoint"] == 500
    ended_followup(service, asked["id"], lambda row: leave(service.settings.layout, followup_report(row)))
    assert run(service, "evaluations", trained) == 0
    out = capsys.readouterr().out
    assert asked["id"] in out
    assert "multi_scale" in out
    assert run(service, "evaluations", trained, "--json") == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["items"]] == [asked["id"]]


def test_the_life_of_a_follow_up(service: Service, trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    """show, logs, cancel and retry take its id as they take an experiment's."""
    asked = asked_for(service, trained, capsys)
    ended_followup(service, asked["id"], lambda row: leave(service.settings.layout, failed_followup(row)))
    assert run(service, "show", asked["id"]) == 0
    out = capsys.readouterr().out
    assert trained in out
    assert "final.pth is damaged" in out
    log = service.settings.layout.followup(trained, asked["id"]).attempt(1).log
    log.write("scored\n")
    assert run(service, "logs", asked["id"], "-f") == 0
    assert capsys.readouterr().out == "scored\n"
    assert run(service, "cancel", asked["id"]) == ExitCode.BAD_INPUT
    assert run(service, "retry", asked["id"]) == 0
    assert "queued, attempt 2" in capsys.readouterr().out
    assert run(service, "cancel", asked["id"]) == 0
    assert "cancel requested" in capsys.readouterr().out


def test_waiting_prints_the_scores(service: Service, trained: str) -> None:
    """States on stderr, scores by mode on stdout."""
    command = [sys.executable, "-m", "service.cli", "evaluate", trained, "--wait", "--api", service.url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with RebalanceClient(service.url) as client, child:
        found = until(lambda: list(client.evaluations(trained)))
        ended_followup(service, found[0].id, lambda row: leave(service.settings.layout, followup_report(row)))
        out, told = child.communicate(timeout=20)
    assert child.returncode == 0, told
    assert [line.split()[1] for line in out.splitlines()] == ["single_scale:", "multi_scale:"]
    assert f"{found[0].id}  evaluation of {trained}: completed" in told


def test_words_of_the_programs() -> None:
    """The command line names the modes and formats that the programs behind it take."""
    assert tuple(evaluation.MODES) == MODES
    assert get_args(Format) == FORMATS


def test_what_evaluate_sends(tmp_path: Path) -> None:
    """A data set by name, as JSON or in a file; a class map in a file; the other experiment."""
    assert evaluation_document(parsed()) == {}
    file = tmp_path / "data.json"
    file.write_text('{"name": "folder", "root": "/d"}')
    for text in (str(file), file.read_text()):
        assert evaluation_document(parsed("--dataset", text)) == {"dataset": {"name": "folder", "root": "/d"}}
    assert evaluation_document(parsed("--dataset", "camvid")) == {"dataset": "camvid"}
    file.write_text('{"car": null}')
    assert evaluation_document(parsed("--class-map", str(file))) == {"class_map": {"car": None}}
    sent = evaluation_document(parsed("--against", "e2", "--pictures", "3", "--mode", '{"name": "own"}'))
    assert sent == {"disagreement": {"against": "e2", "pictures": 3}, "modes": [{"name": "own"}]}


_UNREADABLE = [
    ("--class-map", "/no/such"),
    ("--dataset", "{"),
    ("--dataset", "nowhere.json"),
    ("--dataset", '{"name": "camvid", "name": "ade20k"}'),
    ("--mode", "{'a'}"),
]


@pytest.mark.parametrize("words", _UNREADABLE)
def test_what_cannot_be_read(words: tuple[str, str]) -> None:
    """The option is named."""
    with pytest.raises(BadArgument, match=words[0]):
        evaluation_document(parsed(*words))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("evaluate", "e1", "--pictures", "3"), "--against"),
        (("checkpoints", "e1", "--keep", "best"), "--prune"),
        (("checkpoints", "e1", "--out", "f.pth"), "--download"),
        (
            ("predict", "f.pth", "a.png", "--mode", "foo"),
            f"--mode: 'foo' is refused; allowed: {', '.join(MODES)}",
        ),
        (
            ("export", "f.pth", "--picture", "a.png", "--out", "o", "--format", "onnx", "--format", "coreml"),
            f"--format: 'coreml' is refused; allowed: {', '.join(FORMATS)}",
        ),
    ],
)
def test_options_that_cannot_be_meant(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before anything is asked."""
    assert main([*words, "--api", "http://127.0.0.1:1"]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err


def test_checkpoints(
    service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed, downloaded, pruned."""
    store, storage = Store(service.settings.database), service.settings.layout
    store.create(new_row("done", state=State.COMPLETED), new_tags={})
    store.close()
    leave_checkpoints(storage, "done", ("final", "best", "iter_500"))
    assert run(service, "checkpoints", "done") == 0
    assert "iter_500" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert run(service, "checkpoints", "done", "--download", "best") == 0
    assert capsys.readouterr().out == "done-best.pth\n"
    kept = storage.checkpoints("done").file("best.pth").read_bytes()
    assert (tmp_path / "done-best.pth").read_bytes() == kept
    assert run(service, "checkpoints", "done", "--download", "iter_7") == ExitCode.BAD_INPUT
    assert run(service, "checkpoints", "done", "--download", "best", "--out", "no/f") == ExitCode.BAD_INPUT
    capsys.readouterr()
    assert run(service, "checkpoints", "done", "--prune") == 0
    assert capsys.readouterr().out == "done: removed iter_500\n"
    assert run(service, "checkpoints", "done", "--remove", "final") == 0
    assert capsys.readouterr().out == "done: removed final\n"
    assert run(service, "checkpoints", "done", "--json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["items"]] == ["best"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc123", Source("abc123", False, "abc123")),
        ("abc123=ours", Source("abc123", False, "ours")),
        ("final.pth", Source("final.pth", True, None)),
        ("runs/final=x", Source("runs/final", True, "x")),
        ("a/b", Source("a/b", True, None)),
    ],
)
def test_sources(text: str, expected: Source) -> None:
    """An experiment's id, or a file; a name behind either."""
    assert Source.of(text) == expected


def test_a_blank_source(capsys: pytest.CaptureFixture[str]) -> None:
    """Told before anything runs."""
    assert main(["predict", "a.pth,", "p.png"]) == ExitCode.BAD_INPUT
    assert "allowed: ids or files" in capsys.readouterr().err


def test_an_unknown_experiment_is_told(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """By the API, before any program runs."""
    assert run(service, "predict", "nobody", "p.png") == ExitCode.BAD_INPUT
    assert "nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_a_programs_exit_code_is_ours(code: str, expected: int) -> None:
    """Of one that was killed as a shell has it."""
    assert run_program([sys.executable, "-c", code]) == expected


def test_a_program_ends_with_the_command(tmp_path: Path) -> None:
    """SIGTERM is handed on, and waited for."""
    begun = tmp_path / "begun"
    waiting = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    code = (
        "import sys; from service.cli.trained.programs import run_program;"
        f" sys.exit(run_program([sys.executable, '-c', {waiting!r}]))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        until(begun.exists)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == ExitCode.TERMINATED
