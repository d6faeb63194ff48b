"""`rebalance weights`: the same program as `python -m trainer.weights`, whatever stands in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.main import build_parser, main
from tests.paths import ROOT
from trainer.base.ends import ExitCode


def test_the_same_flags() -> None:
    """`rebalance weights` parses what the trainer's program parses."""
    words = ["weights", "add", "a.pth", "--name", "a", "--layout", "swin", "--storage", "d", "--json"]
    args = build_parser().parse_args(words)
    assert (args.command, args.action, args.file, args.name) == ("weights", "add", Path("a.pth"), "a")
    assert (args.layout, args.storage, args.data_dir, args.json) == ("swin", Path("d"), None, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["weights"], "ACTION"),
        (["weights", "fetch"], "NAME"),
        (["weights", "add", "x", "--layout", "jax"], "mmseg"),
    ],
)
def test_a_wrong_command_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a line, before another program takes over."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    error = capsys.readouterr().err
    assert ended.value.code == ExitCode.BAD_INPUT
    assert told in error
    assert error.count("\n") == 1


def test_the_list_is_printed(tmp_path: Path) -> None:
    """By the other program, which goes by its exit code, also where somebody's own trainer.py lies."""
    (tmp_path / "trainer.py").write_text("raise SystemExit('not ours')")
    command = [
        sys.executable,
        "-P",
        "-m",
        "service.cli",
        "weights",
        "list",
        "--json",
        "--data-dir",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert {"resnet50_v1c", "hrnetv2_w18"} <= {each["name"] for each in found}
    assert {each["state"] for each in found} == {"absent"}
