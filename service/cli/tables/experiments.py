"""Answers of the API as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from service.cli.progress import COLOURS
from service.shared.states import State
from trainer.base.schema_words import counted
from trainer.base.text import printable_lines
from trainer.results.scores import HEADLINE
from trainer.spec.evaluation import SINGLE_SCALE
from trainer.spec.resources import priority_name

if TYPE_CHECKING:
    from rich.console import Console

    from service.shared.catalogue_schemas import CatalogueItem
    from service.shared.schemas import (
        EventPublic,
        ExperimentPreview,
        ExperimentPublic,
        Headline,
        NoticePublic,
        QueuedPublic,
        TrackingPublic,
        WaitingPublic,
    )

Document = Mapping[str, Any]
NONE = "–"
_WAITS = {  # by code, in a list; `show` has the reason
    "max_running": "for a place",
    "unreachable": "for Ray",
    "nodes": "for nodes",
    "room": "for room on the cluster",
    "capacity": "for room on the cluster",
    "reserved": "for a larger one",
    "behind": "behind others",
    "quota": "for its quota",
    "making_room": "for others to stop",
    "too_large": "for a larger cluster",
    "sweep": "for its sweep",
    "retry": "before it is tried again",
    "paused": "for its sweep",
}


def cell(text: str) -> str:
    """Markup that shows `text` as it is, with escapes for what is hidden in it: it comes from outside."""
    return escape(printable_lines(text))


def number(value: float | None, *, signed: bool = False) -> str:
    """Two decimals, as papers print percentages; a dash where undefined."""
    if value is None:
        return NONE
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def experiments_table(found: Iterable[ExperimentPublic], now: datetime) -> Table:
    """One row for each experiment."""
    table = make_table("id", "state", "name", "method", "data set", "progress", "mIoU", "tail", "age")
    for column in table.columns[5:]:
        column.justify = "right"
    table.columns[2].no_wrap = False
    for each in found:
        headline = each.headline
        table.add_row(
            each.id,
            _state(each),
            cell(each.name),
            cell(_named(each.spec.get("method"), "kind")),
            cell(_named(each.spec.get("dataset"), "name")),
            f"{each.progress.iteration}/{each.progress.iterations}" if each.progress else "",
            number(headline.mIoU) if headline else "",
            number(headline.tail_mIoU) if headline else "",
            age(each.created_at, now),
        )
    return table


def print_experiment(console: Console, each: ExperimentPublic, api: str) -> None:
    """How one experiment stands, and all of its spec except defaults."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("id", each.id)
    grid.add_row("name", cell(each.name))
    grid.add_row("state", _state(each) + (f", attempt {each.attempt}" if each.attempt > 1 else ""))
    grid.add_row("queue", cell(queued_text(each.queue)))
    if each.waiting:
        grid.add_row("waits", cell(waiting_text(each.waiting)))
    grid.add_row("method", cell(compact(each.spec.get("method"))))
    grid.add_row("data set", cell(compact(each.spec.get("dataset"))))
    grid.add_row("model", cell(compact(each.spec.get("model"))))
    grid.add_row("schedule", cell(compact(each.spec.get("schedule"))))
    for word, text in origin_of(each):
        grid.add_row(word, cell(text))
    if each.progress:
        grid.add_row("progress", f"{each.progress.iteration}/{each.progress.iterations}")
    if each.progress and each.progress.expected_end:
        grid.add_row("ends about", f"{each.progress.expected_end.astimezone():%H:%M, %d %b}")
    if each.error:
        grid.add_row("error", f"[red]{cell(each.error.type)}[/]: {cell(each.error.message)}")
    for notice in each.notices:
        grid.add_row("notice", cell(notice_text(notice)))
    if each.headline:
        grid.add_row("scores", headline_text(each.headline) + _mode_text(each.spec))
    grid.add_row("report", f"{api}{each.links.report}")
    if each.tracking and each.tracking.state != "ok":
        grid.add_row("tracking", cell(tracking_text(each.tracking)))
    if each.links.mlflow:
        grid.add_row("MLflow", cell(each.links.mlflow))
    console.print(grid)


def origin_of(each: ExperimentPublic) -> Iterator[tuple[str, str]]:
    """Which experiment it goes on from, `1a2b from iteration 1000, rate rescaled`, and which it repeats."""
    if each.continues:
        found = each.spec.get("continues") or {}
        told = f"{each.continues} from iteration {found.get('iteration')}, rate {found.get('rate')}"
        yield "continues", told
    if each.duplicate_of:
        yield "same as", each.duplicate_of


def events_table(events: Sequence[EventPublic]) -> Table:
    """What happened, a row for each change of state or notice."""
    table = make_table("at", "attempt", "from", "to", "reason")
    table.columns[4].no_wrap = False
    for event in events:
        at = event.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        left, to = event.from_state or "", str(event.to_state)
        if left == to:
            left, to = "", "notice"
        table.add_row(at, str(event.attempt), left, to, cell(event.reason))
    return table


def notice_text(notice: NoticePublic) -> str:
    """What is so, and what would mend it."""
    return f"{notice.text}; hint: {notice.hint}" if notice.hint else notice.text


def queued_text(queued: QueuedPublic) -> str:
    """Whose it is, and how it stands with the queue."""
    told = [f"of {queued.owner}"] if queued.owner else []
    told += [f"project {queued.project}"] if queued.project else []
    told.append(f"priority {priority_name(queued.priority)}")
    if queued.admitted_at is not None:
        told.append(f"let in at {queued.admitted_at.astimezone():%H:%M, %d %b}")
    if queued.preemptions:
        told.append(f"stopped for others {counted(queued.preemptions, 'time')}")
    return ", ".join(told)


def waiting_text(waiting: WaitingPublic) -> str:
    """Why it waits, since when, and what would let it go on."""
    then = f"; {waiting.would_run}" if waiting.would_run else ""
    return f"{waiting.reason}{then} (since {waiting.since.astimezone():%H:%M, %d %b})"


def tracking_text(tracking: TrackingPublic) -> str:
    """What MLflow lacks, and what would mend it."""
    mended = "; a job is to send everything again" if tracking.sending else ""
    hint = f"; hint: {tracking.hint}" if tracking.hint else ""
    return f"{tracking.state}: {tracking.detail}{mended}{hint}"


def headline_text(headline: Headline) -> str:
    """The scores in one line, percent."""
    return "  ".join(f"{name} {number(getattr(headline, name))}" for name in HEADLINE)


def _mode_text(spec: Mapping[str, Any]) -> str:
    """The first mode, where the numbers of an experiment are not of the usual one."""
    first = next(iter(spec.get("evaluation", {}).get("modes", ())), SINGLE_SCALE)
    name = first["name"] if isinstance(first, dict) else first
    return "" if name == SINGLE_SCALE else f"  ({name})"


def preview_lines(preview: ExperimentPreview) -> Iterator[str]:
    """What an experiment would be, in lines; its spec in full is in --json."""
    spec = preview.spec
    steps, pictures = spec["schedule"]["iterations"], spec["schedule"]["batch_size"]
    what = f"{spec['method']['kind']} on {spec['dataset']['name']}"
    yield f"{what}: {steps:,} iterations of {counted(pictures, 'picture')}"
    model = preview.config or compact(spec["model"])
    count = "not counted yet" if preview.parameters is None else f"{preview.parameters:,}"
    yield f"model: {model}, parameters: {count}, weights: {spec['weights']}"
    if preview.overrides:
        yield f"not as {spec['recipe']}: {'; '.join(each.text for each in preview.overrides)}"
    unknown = "unknown: nothing like it has been measured in this storage"
    seconds = preview.train_seconds
    yield f"training: {unknown if seconds is None else f'about {seconds:.0f} s'}"
    interval = preview.evaluation_interval
    every = f"every {interval:,} iterations, and " if interval < steps else ""
    yield f"scored: {every}at the end"
    for each in preview.problems:
        yield f"not yet: {each.pointer}: {each.got}; allowed: {each.allowed}"


def catalogue_table(items: Iterable[CatalogueItem]) -> Table:
    """Names, what they are, and the parameters a spec may give."""
    table = make_table("name", "title", "parameters")
    table.columns[1].no_wrap = table.columns[2].no_wrap = False
    for item in items:
        table.add_row(cell(item.name), cell(item.title), cell(_parameters(item.json_schema)))
    return table


def make_table(*columns: str, right: int | None = None, fold: Sequence[int] = ()) -> Table:
    """An empty table; columns from `right` on are aligned right, those in `fold` may take several lines."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=right is not None)
    for column in columns:
        table.add_column(cell(column), no_wrap=True, overflow="fold")
    for each in table.columns[right:] if right is not None else ():
        each.justify = "right"
    for place in fold:
        table.columns[place].no_wrap = False
    return table


def _state(each: ExperimentPublic) -> str:
    asked = ", cancel requested" if each.cancel_requested_at and not each.state.ended else ""
    if each.pause_requested_at and not each.state.ended and each.state is not State.PAUSED:
        asked += ", pause requested"
    code = each.waiting.code if each.waiting and each.state is not State.PAUSED else None
    waits = f", waits {_WAITS.get(code, code)}" if code else ""
    return f"[{COLOURS[each.state]}]{each.state}[/]{cell(waits)}{asked}"


def _named(value: Any, key: str) -> str:
    return str(value.get(key, "")) if isinstance(value, dict) else str(value or "")


def compact(value: Any) -> str:
    """An object's fields in a line, those that are null left out."""
    if not isinstance(value, dict):
        return str(value)
    told = {name: json.dumps(each) if isinstance(each, dict) else each for name, each in value.items()}
    return ", ".join(f"{name} {each}" for name, each in told.items() if each is not None)


def _parameters(schema: dict[str, Any]) -> str:
    """Each `name = default`, for every property but the one that names the entry."""
    parts = []
    for name, about in schema.get("properties", {}).items():
        if "const" in about:
            continue
        default = about.get("default")
        parts.append(name if default is None else f"{name} = {default}")
    return ", ".join(parts)


def age(since: datetime, now: datetime) -> str:
    """The time since, in its largest unit."""
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
