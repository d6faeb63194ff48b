"""`python -m trainer.report`: run directories to a report, without a service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.unit.trainer.figures.studies import BASE, BETTER, RR, leave, report_of
from trainer.base.ends import ExitCode
from trainer.report import main

HEAVY = "torch ray mlflow pandas mmseg sqlalchemy fastapi"


def test_it_writes_the_page_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From an experiment's directory or an attempt's; what is not drawn is told."""
    first = leave(tmp_path / "s", report_of("b0", BASE), BASE, losses=9)
    second = leave(tmp_path / "s", report_of("r0", BETTER, method=RR), BETTER) / "1"
    out, figures = tmp_path / "r.html", tmp_path / "figures"
    assert main([str(first), str(second), "--out", str(out), "--figures", str(figures)]) == ExitCode.DONE
    told = capsys.readouterr()
    assert told.out.strip() == str(out)
    assert "without Figures 9 to 12" in told.err
    assert {path.suffix for path in figures.iterdir()} == {".svg", ".png", ".csv"}


def test_what_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without a report, an attempt that has not ended, classes that differ."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun" / "2").mkdir(parents=True)
    good = leave(tmp_path / "s", report_of("b0", BASE))
    other = leave(tmp_path / "s", report_of("r0", BASE, names=["a", "b", "c"]))
    cases = {
        (tmp_path / "empty",): "holds no report.json; allowed: a run directory",
        (tmp_path / "nowhere",): "holds no report.json; allowed: a run directory",
        (tmp_path / "begun",): "the attempt has not ended",
        (good, other): "has other classes than b0",
    }
    for paths, expected in cases.items():
        words = [*map(str, paths), "--out", str(tmp_path / "r.html")]
        assert main(words) == ExitCode.BAD_INPUT
        assert expected in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_it_loads_little(tmp_path: Path) -> None:
    """Neither what trains nor what serves: a report is made where only the directories are."""
    path = leave(tmp_path, report_of("b0", BASE))
    program = (
        "import sys; from trainer.report import main;"
        f"code = main([{str(path)!r}, '--out', {str(tmp_path / 'r.html')!r}]);"
        f"print([name for name in {HEAVY.split()!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
