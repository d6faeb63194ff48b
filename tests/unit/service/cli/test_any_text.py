"""The command line on any terminal, with arguments and answers that hold anything."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from service.cli.main import main
from service.cli.tables.comparisons import classes_table
from service.cli.tables.experiments import print_experiment
from service.client import RebalanceClient
from service.client.http import ApiError
from service.shared.schemas import ErrorPublic
from tests.data_factories import make_report, scores_of, spec_document
from tests.unit.service.served import Service
from trainer.base.ends import ExitCode
from trainer.results.compare import compare

ODD = "Fence\x1b[31m\u202e\udcff<b>[bold]"
COMMANDS = (
    ["list", "--tag", "\udcff"],
    ["list", "--sweep", "\udcff\u202e"],
    ["show", "stra\udcdfe"],
    ["logs", "\x1b[31m"],
    ["compare", "a", "\udcff"],
    ["sweep", "show", "\udcff"],
    ["sweep", "table", "木\udcff"],
    ["submit", "no/such/\udcff\x1b"],
)


@pytest.mark.parametrize("command", COMMANDS)
def test_arguments_that_are_no_text(
    service: Service, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Bad input, in one line that any terminal can show; nothing of it reaches the terminal as it is."""
    assert main([*command, "--api", service.url]) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert told.strip().isprintable()


@pytest.mark.parametrize("key", ["é", "\udcff", "a b"])
def test_keys_that_are_none(service: Service, key: str) -> None:
    """A header takes ASCII alone: refused, whoever finds it."""
    with RebalanceClient(service.url) as client, pytest.raises(ApiError) as caught:
        client.submit(spec_document(), idempotency_key=key)
    assert caught.value.status == 400


def test_a_document_that_is_no_text(service: Service) -> None:
    """The service says which byte is wrong."""
    with RebalanceClient(service.url) as client, pytest.raises(ApiError, match="UTF-8: byte 10") as caught:
        client.submit('{"name": "\udcff"}')
    assert caught.value.problem.type.endswith("malformed-document")


@pytest.mark.slow
def test_standard_input_in_another_encoding(service: Service) -> None:
    """JSON on stdin is UTF-8 whatever the terminal's encoding; what is not is told."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "service.cli", "submit", "-", "--json", "--api", service.url]

    def sent(body: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, input=body, env=environment, capture_output=True, check=False)

    stored = sent(json.dumps(spec_document(name="Straße 木"), ensure_ascii=False).encode())
    assert json.loads(stored.stdout)["name"] == "Straße 木"
    refused = sent(b'{"name": "\xff"}')
    assert refused.returncode == ExitCode.BAD_INPUT
    assert b"not UTF-8 at byte 10" in refused.stderr
    assert b"Traceback" not in refused.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_and_messages_in_tables(service: Service, encoding: str) -> None:
    """Classes and errors come with escapes: no colour, no turned line, no failed print, on any terminal."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", write_through=True)
    console = Console(file=stream, width=200, highlight=False)
    scores = scores_of([[50, 50], [0, 100]])
    classes = tuple(each.model_copy(update={"name": f"{ODD}{each.id}"}) for each in scores.classes)
    report = make_report(scores=scores.model_copy(update={"classes": classes}))
    console.print(classes_table(compare([report]).model_dump()))
    with RebalanceClient(service.url) as client:
        experiment = client.submit(spec_document())
    error = ErrorPublic(type="DataError", message=f"{ODD}\nsecond line")
    print_experiment(console, experiment.model_copy(update={"error": error}), service.url)
    text = raw.getvalue().decode(encoding)
    assert len(re.findall(r"Fence\\u001b\[31m\\u202e\\udcff<b>\[bold\]", text)) == 3
    assert "second line" in text
    assert text.replace("\n", "").isprintable()
