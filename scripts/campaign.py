"""CamVid, three methods and several seeds, over HTTP: the command behind docs/results/camvid.md.

    python scripts/campaign.py --camvid DIR --seeds 2 --write docs/results/camvid.md

Interrupted, it goes on where it was: each experiment has an Idempotency-Key made from its spec.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from service.client import RebalanceClient
from service.embedded import Embedded
from service.serving import run_instance
from service.settings import Settings
from service.supervisor import StopAsked
from service.terminal import ProgressView, StartNotices, make_console
from trainer.compare import Comparison, ComparisonRow
from trainer.errors import RegionRebalanceError
from trainer.files import write_where_asked
from trainer.report import RunReport
from trainer.spec import canonical_json, parse_spec, spec_hash

METHODS: tuple[dict[str, Any], ...] = (
    {"kind": "baseline"},
    {"kind": "balanced_softmax", "prior": "pixel"},
    {"kind": "region_rebalance", "lambda": 0.3},
)
SCORES = ("mIoU", "mAcc", "aAcc", "head_mIoU", "body_mIoU", "tail_mIoU")
_POLL_SECONDS = 2.0


class CampaignFailed(RegionRebalanceError):
    """An experiment of the campaign did not complete."""


def documents(seeds: int, *, cpus: int, iterations: int | None) -> list[dict[str, Any]]:
    """The specs in the order they run: all methods of a seed, then the next seed."""
    schedule = {"iterations": iterations} if iterations else {}
    return [
        {
            "name": f"camvid: {method['kind']}, seed {seed}",
            "dataset": {"name": "camvid"},
            "model": "small",
            "method": method,
            "schedule": schedule,
            "resources": {"workers": 1, "cpus_per_worker": cpus},
            "seed": seed,
            "tags": {"campaign": "camvid"},
        }
        for seed in range(seeds)
        for method in METHODS
    ]


def main() -> int:
    """0 once the table is printed (and written), else what `rebalance serve` would exit with."""
    args = _parser().parse_args()
    console = make_console(stderr=False)
    wanted = documents(args.seeds, cpus=args.cpus, iterations=args.iterations)

    def work(settings: Settings, stop: threading.Event) -> int:
        with (
            Embedded(settings, StartNotices(console), stop) as running,
            RebalanceClient(running.endpoints.api) as client,
        ):
            ids = [client.submit(spec, idempotency_key=_key(spec)).id for spec in wanted]
            with ProgressView(console) as view:
                _follow(client, ids, view, running, stop)
            reports = [client.report(experiment) for experiment in ids]
            text = page(client.compare(ids), reports, args)
        print(text)
        if args.write:
            write_where_asked(args.write, text)
        return 0

    args.data_roots = [str(args.camvid)]
    return run_instance(args, console, work, port=0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--camvid", type=Path, required=True, help="CamVid as a folder data set: docs/datasets.md"
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--iterations", type=int, help="fewer than the recipe's, to try it out")
    parser.add_argument("--cpus", type=int, default=1, help="torch's threads in a run")
    parser.add_argument("--data-dir", default=".rebalance")
    parser.add_argument("--max-running", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, help="the page to write")
    return parser


def _key(document: dict[str, Any]) -> str:
    return f"campaign-{spec_hash(parse_spec(document))}"


def _follow(
    client: RebalanceClient, ids: Sequence[str], view: ProgressView, running: Embedded, stop: threading.Event
) -> None:
    """Stays until all have ended.

    Raises:
        CampaignFailed: one ended without a result.
        StopAsked: a signal came.
    """
    while True:
        seen = [client.experiment(experiment) for experiment in ids]
        for each in seen:
            view.update(each)
        failed = [each for each in seen if each.state.ended and each.headline is None]
        if failed:
            why = failed[0].error
            raise CampaignFailed(
                f"{failed[0].name} {failed[0].state}: {why.message if why else 'no error given'}"
            )
        if all(each.state.ended for each in seen):
            return
        running.check()
        if stop.wait(_POLL_SECONDS):
            raise StopAsked("asked to stop; the same command goes on with what is left")


PAGE = """\
# CamVid: three methods, trained from scratch

Made by `make campaign CAMVID=DIR SEEDS={seeds}`{deviation}, which posts the specs below over HTTP
and writes this page: {hours:.1f} hours of training and evaluation on CPU, {cpus} threads. Where CamVid comes
from, and how it must lie in DIR: [datasets](../datasets.md).

Model `small` ({parameters:,} parameters), {schedule.iterations} iterations of batch {schedule.batch_size};
crops of {schedule.crop_size[0]}×{schedule.crop_size[1]} from pictures shrunk by {scale:g};
trained on {training_images} pictures, scored on {eval_images} at full size.

As measured, whoever wins. A small model, a short schedule and {seeds} seeds: this says nothing about the
order of the methods elsewhere.

## Mean ± sample standard deviation over {seeds} seeds, percent

{means}

ΔmIoU: difference to the baseline of the same seed, then mean ± standard deviation, in points.

## Every run

{runs}

{notes}

## Mean IoU of each class, most training pixels first

{classes}

## Specs

One of each method; the others differ in `seed` and `name`.

{specs}

Versions: {versions}.
"""


def page(comparison: Comparison, reports: Sequence[RunReport], args: argparse.Namespace) -> str:
    """The results as Markdown: how they were made, means over seeds, every run, classes, specs."""
    result, spec = reports[0].result, reports[0].spec
    assert result is not None, "only completed experiments can be compared"
    return PAGE.format(
        seeds=args.seeds,
        deviation=f" (here with `--iterations {args.iterations}`)" if args.iterations else "",
        hours=sum(row.seconds for row in comparison.rows) / 3600,
        cpus=args.cpus,
        parameters=result.parameters,
        schedule=spec.schedule,
        scale=getattr(spec.dataset, "scale", 1.0),
        training_images=result.training_images,
        eval_images=result.eval_images,
        means=_table(("method", "n", *SCORES, "ΔmIoU"), _mean_rows(comparison.rows)),
        runs=_table(("method", "seed (experiment)", *SCORES, "seconds"), _run_rows(comparison.rows)),
        notes="\n".join(f"- {note}" for note in comparison.notes),
        classes=_class_table(comparison),
        specs="\n\n".join(f"```json\n{_readable(report)}\n```" for report in reports[: len(METHODS)]),
        versions=", ".join(f"{name} {version}" for name, version in sorted(result.versions.items())),
    )


def _by_method(rows: Iterable[ComparisonRow]) -> dict[str, list[ComparisonRow]]:
    grouped: dict[str, list[ComparisonRow]] = {}
    for row in rows:
        grouped.setdefault(row.method, []).append(row)
    return grouped


def _mean_rows(rows: Sequence[ComparisonRow]) -> list[list[str]]:
    groups = _by_method(rows)
    reference = {row.seed: row.mIoU for row in next(iter(groups.values()))}
    table = []
    for method, runs in groups.items():
        deltas = [
            run.mIoU - base
            for run in runs
            if run.mIoU is not None and (base := reference.get(run.seed)) is not None
        ]
        scores = [spread([getattr(run, name) for run in runs]) for name in SCORES]
        table.append([method, str(len(runs)), *scores, spread(deltas, sign="+")])
    return table


def _run_rows(rows: Sequence[ComparisonRow]) -> list[list[str]]:
    return [
        [
            row.method,
            f"{row.seed} ({row.experiment})",
            *(spread([getattr(row, name)]) for name in SCORES),
            f"{row.seconds:.0f}",
        ]
        for row in rows
    ]


def _class_table(comparison: Comparison) -> str:
    groups = _by_method(comparison.rows)
    places = {
        method: [i for i, row in enumerate(comparison.rows) if row.method == method] for method in groups
    }
    rows = [
        [row.name, row.group, f"{row.pixel_frequency:,}", str(row.region_frequency)]
        + [spread([row.iou[i] for i in places[method]]) for method in groups]
        for row in sorted(comparison.classes, key=lambda row: -row.pixel_frequency)
    ]
    return _table(("class", "group", "training pixels", "training pictures", *groups), rows)


def spread(values: Sequence[float | None], *, sign: str = "") -> str:
    """Mean, and the sample standard deviation where there are two; `–` where nothing is defined."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{statistics.fmean(known):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(known):.2f}" if len(known) > 1 else mean


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _readable(report: RunReport) -> str:
    """The spec with its defaults, without the directory it was read from."""
    document = json.loads(canonical_json(report.spec))
    document["dataset"].pop("root", None)
    return json.dumps(document, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
