"""What a trial costs beyond its training, in seconds: trivial ones (1 iteration, 50 pictures) in a sweep.

A sweep runs on a local Ray with one trial at a time. `overhead` is, for each trial after the first, the time
from the end of the trial before it to its own end, less its own training and evaluation (`train_seconds` +
`eval_seconds` of its report); the median counts. So it has all else: the driver, Tune, the pool, the plan,
building the model, checkpoints, the report and the table. `first` is the time from the driver's start to the
first trial's end. `train_per_trial` is the same overhead where Tune runs a function that calls
TorchTrainer.fit for each trial, as its documentation shows, on the same specs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from typing import Any

from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import parse_spec
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage

BASE: dict[str, Any] = {
    "dataset": {"name": "digit_scenes", "train_images": 50, "eval_images": 50},
    "model": "small",
    "method": "baseline",
    "schedule": {"iterations": 1, "batch_size": 2},
}


def overheads(ends: list[float], work: list[float]) -> list[float]:
    """Seconds between one end and the next that were not the trial's own work; none for the first."""
    return [end - before - own for before, end, own in zip(ends, ends[1:], work[1:], strict=False)]


def warm(storage: Storage, trials: int) -> tuple[list[float], float]:
    """(overhead of each trial after the first, seconds to the first trial's end) through `sweeps.job`."""
    document = {"base": BASE, "seeds": list(range(trials)), "limits": {"concurrent_trials": 1}}
    path = storage.root / "sweep.json"
    path.write_text(json.dumps(document))
    begun = time.time()
    _run("-m", "sweeps.job", "--spec", str(path), "--storage", str(storage.root), "--sweep", "warm")
    reports = [_report(storage, trial_id("warm", number)) for number in range(trials)]
    ends, work = [_end(one) for one in reports], [_work(one) for one in reports]
    return overheads(ends, work), ends[0] - begun


def through_train(storage: Storage, trials: int) -> list[float]:
    """Overhead of each trial after the first where each is a TorchTrainer.fit inside a Tune function."""
    out = _run("-m", "benchmarks.trial_overhead", "--train", str(trials), "--storage", str(storage.root))
    found: list[float] = json.loads(out.splitlines()[-1])
    return found


def _train_in_tune(storage: Storage, trials: int) -> list[float]:
    """What `through_train` runs in a process of its own."""
    import ray
    from ray import tune

    ray.init(address="local", num_cpus=2, logging_level="error", log_to_driver=False)
    root = str(storage.root)

    def one(config: dict[str, Any]) -> None:
        from trainer.run import launch
        from trainer.run.attempt import Attempt
        from trainer.task import Task

        spec = parse_spec({**BASE, "seed": config["seed"]})
        experiment = f"train-{config['seed']}"
        task = Task(experiment=experiment, attempt=1, spec=spec, storage=root)
        Attempt(task).run(partial(launch.run_attempt, train=launch.train_under_ray_train))
        tune.report({"seed": config["seed"]})

    tune.run(
        tune.with_resources(one, {"cpu": 0.01}),
        config={"seed": tune.grid_search(list(range(trials)))},
        storage_path=f"{root}/tune",
        max_concurrent_trials=1,
        verbose=0,
    )
    reports = [_report(storage, f"train-{seed}") for seed in range(trials)]
    return overheads([_end(one) for one in reports], [_work(one) for one in reports])


def _run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def _report(storage: Storage, experiment: str) -> AttemptReport:
    report = read_report(storage.attempt(experiment, 1).report)
    if report is None or report.result is None:
        raise SystemExit(f"{experiment}: {report.error if report else 'no report'}")
    return report


def _end(report: AttemptReport) -> float:
    return datetime.fromisoformat(report.ended_at).timestamp()


def _work(report: AttemptReport) -> float:
    assert report.result is not None
    return report.result.train_seconds + report.result.eval_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--trials", type=int, default=20, help="through the sweep")
    parser.add_argument("--train-trials", type=int, default=3, help="through TorchTrainer.fit; 0: leave out")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--storage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(_train_in_tune(Storage.at(options.storage), options.train)))
        return
    with tempfile.TemporaryDirectory() as directory:
        storage = Storage.at(directory)
        found, first = warm(storage, options.trials)
        slow = through_train(storage, options.train_trials) if options.train_trials > 1 else []
    overhead = statistics.median(found)
    per_fit = statistics.median(slow) if slow else None
    result = {
        "benchmark": "trial_overhead",
        "overhead_seconds": round(overhead, 3),
        "overhead_min_max": [round(min(found), 3), round(max(found), 3)],
        "first_trial_seconds": round(first, 1),
        "train_per_trial_seconds": None if per_fit is None else round(per_fit, 1),
        "ratio": None if per_fit is None else round(per_fit / overhead),
        "trials": options.trials,
        "cpus": os.cpu_count(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
