"""From POST to the first training step on a running cluster, split into its parts (seconds, medians).

Parts, in the order they happen: `submit` (POST, reconciler, Jobs API, until the job's process starts),
`imports` and `ray` (the driver's own, and its connection), `plan`, `worker` (Ray's process until our
function runs in it), `import` (torch and mmseg in the worker), `build`, `first_step`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
from datetime import datetime
from typing import Any

from service.cli.progress import StartNotices, make_console
from service.client import RebalanceClient
from service.local.instance import Embedded
from service.shared.settings import load_settings

PARTS = ("submit", "imports", "ray", "plan", "worker", "import", "build", "first_step")
SPEC: dict[str, Any] = {
    "dataset": {"name": "digit_scenes", "train_images": 50, "eval_images": 50},
    "model": "small",
    "method": "region_rebalance",
    "schedule": {"iterations": 1, "batch_size": 16},
}


def measure(client: RebalanceClient) -> dict[str, float]:
    """Parts of one experiment's way to its first step, and `total`."""
    experiment = client.wait(client.submit(SPEC).id, poll_seconds=0.2)
    report = client.report(experiment.id)
    if report.result is None:
        raise SystemExit(f"{experiment.id} {experiment.state}: {experiment.error}")
    (first, *_) = [one for one in client.metrics(experiment.id).items if one["kind"] == "train"]
    posted = experiment.created_at.timestamp()
    parts = {name: report.timings[name] for name in PARTS[1:-1]}
    # The report's first time is taken right after the imports that `timings` starts with.
    begun = datetime.fromisoformat(report.started_at).timestamp() - report.timings["imports"]
    parts["submit"] = begun - posted
    parts["first_step"] = first["time"] - posted - sum(parts.values())
    return {name: parts[name] for name in PARTS} | {"total": first["time"] - posted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--runs", type=int, default=5, help="counted; one more goes before them")
    options = parser.parse_args()
    console = make_console(stderr=True)
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(data_dir=directory, port=0)
        with Embedded(settings, StartNotices(console), threading.Event()) as running:
            client = RebalanceClient(running.endpoints.api)
            first = measure(client)
            runs = [measure(client) for _ in range(options.runs)]
    medians = {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}
    spread = [round(min(run["total"] for run in runs), 2), round(max(run["total"] for run in runs), 2)]
    print(
        json.dumps(
            {
                "benchmark": "startup",
                "seconds": medians,
                "total_min_max": spread,
                "first_after_start": round(first["total"], 2),
                "runs": options.runs,
                "cpus": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
