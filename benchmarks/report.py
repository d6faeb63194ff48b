"""What a report costs: seconds, bytes and memory from run directories to HTML, and how they grow.

Each case is a process of its own that reads made-up run directories with everything in them (reports, counts,
curves) and writes the page, as `python -m trainer.report` does; its start and imports count. Every experiment
is a setting of its own: the most that so many can have to show. Targets: 171 classes × 20 experiments in
under 10 s and 8 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from trainer.base.ends import End
from trainer.results.confusion_file import write_confusion
from trainer.results.from_counts import make_scores
from trainer.results.metrics import ClassCounts
from trainer.results.report import AttemptReport, AttemptResult, write_report
from trainer.results.split_counts import SplitCounts
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage

_TARGET = (171, 20)  # classes, experiments
_BY_CLASSES = (19, 75, 171)
_BY_EXPERIMENTS = (5, 10, 20, 40)
_IMAGES, _RECORDS = 500, 200  # scored pictures; lines of a training curve


def make_runs(storage: Storage, classes: int, experiments: int) -> list[Path]:
    """Run directories of region rebalance with as many λ, scored on made-up counts; the first has λ = 0."""
    random = np.random.default_rng(0)
    names = [f"class number {k}" for k in range(classes)]
    pixels = (1e9 * np.arange(1, classes + 1) ** -1.3).astype(np.int64)
    truth = random.multinomial(1000, pixels / pixels.sum(), size=_IMAGES)
    found = []
    for number in range(experiments):
        counts = _counts(random, truth)
        scores = make_scores(
            counts,
            class_names=names,
            pixel_counts=pixels.tolist(),
            region_counts=(pixels**0.5).astype(int).tolist(),
        )
        report = _report(f"e{number:02}", number / 100, scores)
        here = storage.attempt(report.experiment, 1)
        write_report(report, here.report)
        write_confusion(here.confusion, {"single_scale": counts}, names)
        here.metrics.write("".join(_curve(random)))
        found.append(storage.experiment(report.experiment).local)
    return found


def _counts(random: np.random.Generator, truth: Any) -> SplitCounts:
    """Nearly as many pixels right as half of each class, the others spread over all classes."""
    tp = random.binomial(truth, 0.6)
    fn = truth - tp
    spread = random.dirichlet(np.ones(truth.shape[1]), size=truth.shape[1])
    confusion = np.array(
        [random.multinomial(n, row) for n, row in zip(fn.sum(axis=0), spread, strict=True)], np.int64
    )
    confusion[np.diag_indices_from(confusion)] += tp.sum(axis=0)
    matrix = ClassCounts.of(confusion)
    fp = np.zeros_like(tp)
    fp[0] = matrix.fp
    names = tuple(f"p{number:05}" for number in range(len(truth)))
    return SplitCounts(confusion=confusion, names=names, tp=tp, fp=fp, fn=fn)


def _report(experiment: str, weight: float, scores: Any) -> AttemptReport:
    method = {"kind": "region_rebalance", "lambda": weight}
    spec = parse_spec({"dataset": "digit_scenes", "model": "small", "method": method})
    return AttemptReport(
        experiment=experiment,
        attempt=1,
        state=End.COMPLETED,
        spec=spec,
        result=AttemptResult(
            evaluation={"single_scale": scores},
            iterations=1000,
            train_seconds=1000 * (1 + weight),
            eval_seconds=10.0,
            parameters=590_527,
            checkpoint="none",
            training_images=1000,
            eval_images=_IMAGES,
            versions={},
        ),
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:05:05+00:00",
    )


def _curve(random: np.random.Generator) -> list[str]:
    losses = 3 / np.sqrt(np.arange(1, _RECORDS + 1)) + random.random(_RECORDS) / 10
    return [
        json.dumps({"kind": "train", "iteration": 5 * n, "loss": float(loss), "time": float(n)}) + "\n"
        for n, loss in enumerate(losses, start=1)
    ]


def measure(classes: int, experiments: int) -> dict[str, float]:
    """Seconds, megabytes of HTML, and the most memory in megabytes, of one case."""
    with tempfile.TemporaryDirectory() as directory:
        paths = make_runs(Storage.at(directory), classes, experiments)
        out = Path(directory) / "report.html"
        begun = time.perf_counter()
        command = [sys.executable, "-m", "trainer.report", *map(str, paths), "--out", str(out)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        return {
            "seconds": round(time.perf_counter() - begun, 2),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "megabytes": round(out.stat().st_size / 1e6, 2),
            "peak_megabytes": round(usage.ru_maxrss * _RSS_UNIT / 1e6),
        }


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--small", action="store_true", help="few classes and experiments, to try it out")
    options = parser.parse_args()
    classes, experiments = (5, 3) if options.small else _TARGET
    by_classes = (3, classes) if options.small else _BY_CLASSES
    by_experiments = (2, experiments) if options.small else _BY_EXPERIMENTS
    load = os.getloadavg()[0]
    cases = {(number, experiments) for number in by_classes}
    cases |= {(classes, number) for number in by_experiments}
    found = {case: measure(*case) for case in sorted(cases)}
    print(
        json.dumps(
            {
                "benchmark": "report",
                "classes": classes,
                "experiments": experiments,
                **found[classes, experiments],
                "by_classes": {str(number): found[number, experiments] for number in by_classes},
                "by_experiments": {str(number): found[classes, number] for number in by_experiments},
                "load_before": round(load, 2),
                "cpus": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
