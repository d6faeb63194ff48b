"""Reports: whole or not there, read strictly, the same after a round trip."""

from __future__ import annotations

import json
import os
import stat
import statistics
from pathlib import Path
from threading import Thread

import pytest

from tests.data_factories import counts_of, make_report, make_spec, scores_of
from trainer.base.errors import ReportError
from trainer.base.files import write_atomically, write_where_asked
from trainer.results.from_counts import make_scores
from trainer.results.report import AttemptError, AttemptReport, read_report, write_report
from trainer.results.scores import BY_PICTURE
from trainer.storage.posix import PosixFile


def test_round_trip(tmp_path: Path) -> None:
    """A report read back equals the one written."""
    report = make_report(method={"kind": "region_rebalance", "lambda": 0.1}, tags={"a": "b"})
    path = PosixFile(tmp_path / "runs" / "e1" / "1" / "report.json")
    write_report(report, path)
    assert read_report(path) == report
    assert json.loads(path.read_text())["spec"]["method"]["lambda"] == 0.1


def test_failed_report_round_trip(tmp_path: Path) -> None:
    """A report with an error and no result is a report."""
    report = AttemptReport(
        experiment="e1",
        attempt=2,
        state="failed",
        spec=make_spec(),
        error=AttemptError(type="DataError", message="3 masks…"),
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:04:09+00:00",
    )
    file = PosixFile(tmp_path / "report.json")
    write_report(report, file)
    assert read_report(file) == report


def test_no_report_yet(tmp_path: Path) -> None:
    """Where no file is there is no report, and that is no error."""
    assert read_report(PosixFile(tmp_path / "none" / "report.json")) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda _: "",
        lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
        lambda text: text.replace('"attempt": 1', '"attempt": "1"'),
        lambda text: text.replace('"attempt": 1', '"attempt": 1, "surprise": 0'),
        lambda text: text.replace('"attempt": 1,', ""),
    ],
)
def test_strict_read(tmp_path: Path, damage: object) -> None:
    """A report cut short, of another schema, or with other fields is an error, never half a report."""
    path = PosixFile(tmp_path / "report.json")
    write_report(make_report(), path)
    text = path.read_text()
    damaged = damage(text)  # type: ignore[operator]
    assert damaged != text
    path.write(damaged)
    with pytest.raises(ReportError, match=r"report\.json"):
        read_report(path)


def test_scores_of_a_matrix() -> None:
    """Scores hold the counts they come from, groups by training frequency, means over classes that occur."""
    scores = scores_of([[8, 2, 0, 0], [1, 5, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0]], pixels=[5, 900, 70, 1])
    assert [one.group for one in scores.classes] == ["body", "head", "head", "tail"]
    assert scores.classes[0].tp == 8
    assert scores.classes[0].fp == 2
    assert scores.classes[0].fn == 2
    assert scores.classes[0].iou == pytest.approx(800 / 12)
    assert scores.body_mIoU == scores.classes[0].iou
    assert scores.tail_mIoU is None
    assert scores.classes[3].iou is None
    assert scores.mIoU == pytest.approx((800 / 12 + 500 / 9 + 200 / 4) / 3)
    assert scores.aAcc == pytest.approx(1500 / 20)


def test_correlations_and_boundaries() -> None:
    """Scores have FP/TP and both correlations, and groups cut where the spec says."""
    scores = make_scores(
        counts_of([[8, 2, 0, 0], [1, 5, 0, 0], [1, 1, 2, 0], [0, 0, 1, 0]]),
        class_names="abcd",
        pixel_counts=[900, 5, 70, 6],
        region_counts=[4, 4, 4, 4],
        group_boundaries=(0.25, 0.5),
    )
    assert [one.group for one in scores.classes] == ["head", "tail", "body", "tail"]
    assert [one.fp_tp for one in scores.classes] == [0.25, 0.6, 0.5, None]
    assert scores.pearson_pixel == pytest.approx(
        100 * statistics.correlation([900, 5, 70, 6], [80, 500 / 6, 50, 0])
    )
    assert scores.pearson_region is None


def test_an_older_report_is_read(tmp_path: Path) -> None:
    """Reports from before FP/TP, correlations, boundaries and scores of pictures are read: null there."""
    document = json.loads(make_report().model_dump_json())
    scores = document["result"]["evaluation"]["single_scale"]
    del document["spec"]["evaluation"]["group_boundaries"]
    for name in ("pearson_pixel", "pearson_region", "confused", "region_frequency_groups", *BY_PICTURE):
        del scores[name]
    for one in scores["classes"]:
        for name in ("fp_tp", "image_iou", "image_iou_worst5", "images"):
            del one[name]
    path = PosixFile(tmp_path / "report.json")
    path.write(json.dumps(document))
    report = read_report(path)
    assert report is not None
    assert report.result is not None
    found = report.result.evaluation["single_scale"]
    assert found.pearson_pixel is None
    assert found.classes[0].fp_tp is None
    assert (found.image_mIoU, found.region_frequency_groups, found.confused) == (None, None, ())
    assert found.classes[0].image_iou is None
    assert report.spec.evaluation.group_boundaries is None


def test_readers_see_old_or_new(tmp_path: Path) -> None:
    """While a file is rewritten again and again, every reading is one of the whole texts."""
    path = tmp_path / "f.json"
    texts = {letter * 20_000 for letter in "ab"}
    write_atomically(path, "a" * 20_000)
    done = False

    def rewrite() -> None:
        nonlocal done
        for number in range(40):
            write_atomically(path, "ab"[number % 2] * 20_000)
        done = True

    writer = Thread(target=rewrite)
    writer.start()
    while not done:
        assert path.read_text() in texts
    writer.join()
    assert os.listdir(tmp_path) == ["f.json"]  # noqa: PTH208 - hidden files count


def test_failed_write_leaves_the_old(tmp_path: Path) -> None:
    """A write that fails leaves the old text and no temporary file."""
    path = tmp_path / "f.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert len(os.listdir(tmp_path)) == 1  # noqa: PTH208


def test_what_a_person_names_is_written_where_it_leads(tmp_path: Path) -> None:
    """A link stays one and its file is written; a pipe is written into, as a device is, and not replaced."""
    real, link, pipe = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("real.csv")
    write_where_asked(link, "text")
    assert link.is_symlink()
    assert real.read_text() == "text"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_where_asked(pipe, b"bytes")
    assert os.read(reader, 100) == b"bytes"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_failed_write_names_what_was_asked_for(tmp_path: Path) -> None:
    """Not the temporary file beside it."""
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "t.csv", tmp_path / ("n" * 300)):
        with pytest.raises(OSError) as caught:
            write_where_asked(path, "x")
        assert caught.value.filename == str(path)


def test_others_may_read(tmp_path: Path) -> None:
    """A file is readable for a service that runs under another user than the job."""
    write_atomically(tmp_path / "f.json", "x")
    assert stat.S_IMODE((tmp_path / "f.json").stat().st_mode) & 0o444 == 0o444
