"""A table of the paper on CamVid, as a sweep over HTTP: the command behind docs/results/table1-camvid.md.

    python scripts/campaign.py --camvid DIR --preset table1 --seeds 3 --write docs/results/table1-camvid.md

Interrupted, it goes on where it was: the sweep has an Idempotency-Key made from its document.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.instance.serve import run_instance
from service.cli.progress import StartNotices, make_console
from service.cli.tables.sweeps import SweepView
from service.client import RebalanceClient
from service.local.instance import Embedded
from service.local.supervisor import StopAsked
from service.shared.settings import Settings
from service.shared.sweep_schemas import SweepPublic
from sweeps.document.presets import PRESETS, preset_sweep
from trainer.base.errors import RegionRebalanceError
from trainer.base.files import write_where_asked
from trainer.results.report import AttemptReport
from trainer.results.scores import HEADLINE

_POLL_SECONDS = 2.0


class CampaignFailed(RegionRebalanceError):
    """A trial of the campaign did not complete."""


def document(preset: str, seeds: int, iterations: int | None) -> dict[str, Any]:
    """The sweep: the preset's rows on CamVid with the model `small`, all rows of a seed, then the next."""
    base: dict[str, Any] = {"dataset": {"name": "camvid"}, "model": "small"}
    if iterations is not None:
        base["schedule"] = {"iterations": iterations}
    found = preset_sweep(preset, seeds=range(seeds), base=base)
    return {**found, "name": f"{PRESETS[preset].title} on CamVid"}


def main() -> int:
    """0 once the page is printed (and written), else what `rebalance serve` would exit with."""
    args = _parser().parse_args()
    console = make_console(stderr=False)
    wanted = document(args.preset, args.seeds, args.iterations)

    def work(settings: Settings, stop: threading.Event) -> int:
        with (
            Embedded(settings, StartNotices(console), stop) as running,
            RebalanceClient(running.endpoints.api) as client,
        ):
            stored = client.submit_sweep(wanted, idempotency_key=_key(wanted))
            with SweepView(console) as view:
                _follow(client, stored.id, view, running, stop)
            ended = client.sweep(stored.id)
            reports = [client.report(trial.experiment) for trial in ended.trials or ()]
            text = page(ended, client.sweep_table_text(stored.id, "markdown"), reports, args)
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
    parser.add_argument("--preset", default="table1", choices=tuple(PRESETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, help="fewer than the recipe's, to try it out")
    parser.add_argument("--data-dir", default=".rebalance")
    parser.add_argument("--write", type=Path, help="the page to write")
    return parser


def _key(wanted: Mapping[str, Any]) -> str:
    return f"campaign-{hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]}"


def _follow(
    client: RebalanceClient, sweep: str, view: SweepView, running: Embedded, stop: threading.Event
) -> None:
    """Stays until the sweep has ended.

    Raises:
        CampaignFailed: a trial ended without a result.
        StopAsked: a signal came.
    """
    while True:
        standing = client.sweep(sweep, trials=0)
        view.update(standing)
        if standing.state.ended:
            if standing.counts.completed < standing.counts.total:
                why = (
                    f": {standing.error.message}"
                    if standing.error
                    else f"; see `rebalance sweep show {sweep}`"
                )
                raise CampaignFailed(
                    f"{standing.counts.completed} of {standing.counts.total} trials completed{why}"
                )
            return
        running.check()
        if stop.wait(_POLL_SECONDS):
            raise StopAsked("asked to stop; the same command goes on with what is left")


PAGE = """\
# {title} on CamVid: {rows} methods, {seeds} seeds, trained from scratch

Made by `make campaign CAMVID=DIR SEEDS={seeds}`{deviation}, which posts the sweep below over HTTP
and writes this page: {hours:.1f} hours of training and evaluation on CPU, one thread a trial. Where CamVid
comes from, and how it must lie in DIR: [datasets](../datasets.md).

Model `small` ({parameters:,} parameters), {schedule.iterations} iterations of batch {schedule.batch_size};
crops of {schedule.crop_size[0]}×{schedule.crop_size[1]} from pictures shrunk by {scale:g};
trained on {training_images} pictures, scored on {eval_images} at full size.

As measured, whoever wins. A small model, a short schedule and {seeds} seeds: this says nothing about the
order of the methods elsewhere.

{table}
## Every trial

{runs}

## The sweep

```json
{spec}
```

Versions: {versions}.
"""


def page(ended: SweepPublic, table: str, reports: Sequence[AttemptReport], args: argparse.Namespace) -> str:
    """The results as Markdown: how they were made, the sweep's table, every trial, the sweep itself.

    Args:
        table: the sweep's own Markdown, its title included.
        reports: one for each trial of `ended`, in their order.
    """
    result, spec = reports[0].result, reports[0].spec
    assert result is not None, "only completed trials have scores"
    return PAGE.format(
        title=PRESETS[args.preset].title,
        rows=len(PRESETS[args.preset].methods),
        seeds=args.seeds,
        deviation=f" (here with `--iterations {args.iterations}`)" if args.iterations else "",
        hours=sum(_seconds(report) for report in reports) / 3600,
        parameters=result.parameters,
        schedule=spec.schedule,
        scale=getattr(spec.dataset, "scale", 1.0),
        training_images=result.training_images,
        eval_images=result.eval_images,
        table=table.partition("\n\n")[2],
        runs=_runs(ended, reports),
        spec=_readable(ended.spec),
        versions=", ".join(f"{name} {version}" for name, version in sorted(result.versions.items())),
    )


def _readable(spec: Mapping[str, Any]) -> str:
    """The sweep with its defaults, without the directory that the pictures were read from."""
    found: dict[str, Any] = json.loads(json.dumps(spec))
    found["base"]["dataset"].pop("root", None)
    return json.dumps(found, indent=1, ensure_ascii=False)


def _seconds(report: AttemptReport) -> float:
    return report.result.train_seconds + report.result.eval_seconds if report.result else 0.0


def _runs(ended: SweepPublic, reports: Sequence[AttemptReport]) -> str:
    lines = [("row", "seed", *HEADLINE, "seconds"), ("---", *["---:"] * (len(HEADLINE) + 2))]
    for trial, report in zip(ended.trials or (), reports, strict=True):
        scores = report.result.scores if report.result else None
        assert scores is not None, "only completed trials have scores"
        texts = ["–" if value is None else f"{value:.2f}" for value in scores.headline.values()]
        lines.append((trial.row, str(trial.seed), *texts, f"{_seconds(report):.0f}"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
