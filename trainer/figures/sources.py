"""From run directories to a study: each experiment's report, and where its other files lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.base.errors import ReportError
from trainer.base.text import printable
from trainer.figures.study import MOST_SETTINGS, Run, Setting, Study, Table, may_subtract
from trainer.results.comparability import difference
from trainer.results.compare import Comparison, compare
from trainer.results.grids import comparison_class_grid, comparison_grid
from trainer.results.report import AttemptReport, read_report
from trainer.results.statistics import mean, paired_p_value
from trainer.spec import methods
from trainer.spec.spec import ExperimentSpec
from trainer.storage.directories import AttemptDir, FollowupDir, newest_number
from trainer.storage.port import StoredFolder
from trainer.storage.posix import PosixFolder

_NOT_ASKED = ("seed", "name", "tags", "resources", "checkpoints")  # what may differ within a setting


@dataclass(frozen=True)
class Source:
    """An experiment's report, its attempts up to that one, and its follow-ups."""

    report: AttemptReport
    attempts: tuple[AttemptDir, ...] = ()
    followups: tuple[FollowupDir, ...] = ()

    def run(self, mode: str) -> Run:
        """As a study has it; its report has this mode."""
        assert self.report.result is not None, "only completed experiments are drawn"
        return Run(self.report, self.report.result.evaluation[mode], self.attempts, self.followups)


def source_of(report: AttemptReport, experiment: StoredFolder) -> Source:
    """With what lies in the experiment's folder."""
    followups = experiment.folder("followups")
    return Source(
        report,
        tuple(AttemptDir(experiment.folder(str(number))) for number in range(1, report.attempt + 1)),
        tuple(FollowupDir(followups.folder(name)) for name in followups.names()),
    )


def source_at(path: Path) -> Source:
    """Of a run directory: an experiment's, whose newest attempt counts, or one of its attempts.

    Raises:
        ReportError: there is no report in it, or it is damaged.
    """
    folder: StoredFolder = PosixFolder(path.resolve())
    if not AttemptDir(folder).report.exists():
        newest = newest_number(folder)
        if not newest:
            raise ReportError(f"{path}: holds no report.json; allowed: a run directory, or an attempt in one")
        folder = folder.folder(str(newest))
    report = read_report(AttemptDir(folder).report)
    if report is None:
        raise ReportError(f"{folder}: holds no report.json: the attempt has not ended")
    return source_of(report, PosixFolder(folder.local.parent))


def study_of(sources: Sequence[Source], mode: str | None = None) -> Study:
    """Completed experiments: those alike but for their seed are one setting; the first is the reference.

    Raises:
        ComparisonError: as `compare` does.
    """
    comparison = compare([source.report for source in sources], mode)
    runs = [source.run(comparison.mode) for source in sources]
    groups, repeats = _grouped(runs)
    base = next(iter(groups))
    settings = [Setting(label, base, tuple(group)) for label, group in groups.items()]
    left = len(settings) - MOST_SETTINGS
    told = f"figures show the first {MOST_SETTINGS} settings; {left} more are in the tables"
    names = [run.experiment for run in runs]
    return Study(
        title=f"Comparison of {len(names)} experiments" if len(names) > 1 else f"Experiment {names[0]}",
        subject=", ".join(names),
        settings=tuple(_with_difference(setting, settings[0]) for setting in settings[:MOST_SETTINGS]),
        mode=comparison.mode,
        tables=_tables(comparison),
        notes=(*comparison.notes, *repeats, *([told] if left > 0 else [])),
    )


def _grouped(runs: Sequence[Run]) -> tuple[dict[str, list[Run]], list[str]]:
    """Runs by label, and a note on those whose seed another of their setting has."""
    groups: dict[str, list[Run]] = {}
    repeats = []
    for run in runs:
        group = groups.setdefault(_key(run.report.spec), [])
        if any(one.seed == run.seed for one in group):
            repeats.append(run.experiment)
        else:
            group.append(run)
    labels = _labels([group[0] for group in groups.values()])
    sorted_groups = [sorted(group, key=lambda run: run.seed) for group in groups.values()]
    note = [f"repeats of a seed, not in the figures: {', '.join(repeats)}"] if repeats else []
    return dict(zip(labels, sorted_groups, strict=True)), note


def _key(spec: ExperimentSpec) -> str:
    return spec.model_copy(update={"seed": 0, "name": "", "tags": {}}).model_dump_json(
        exclude=set(_NOT_ASKED)
    )


def _labels(firsts: Sequence[Run]) -> list[str]:
    """The method; where that does not tell settings apart also model, data set, and last the experiment."""
    words = [
        [
            methods.label(run.report.spec.method),
            run.report.spec.model.label,
            run.report.spec.dataset.name,
            run.experiment,
        ]
        for run in firsts
    ]
    for number in range(1, 5):
        labels = [printable(", ".join(each[:number])) for each in words]
        if len(set(labels)) == len(labels):
            break
    return labels


def _with_difference(setting: Setting, base: Setting) -> Setting:
    """With the mean difference over shared seeds, as a sweep's table has it."""
    if setting is base or not may_subtract(setting, base):
        return setting
    theirs = {run.seed: run.scores.mIoU for run in base.runs}
    pairs = ((run.scores.mIoU, theirs.get(run.seed)) for run in setting.runs)
    differences = [delta for ours, other in pairs if (delta := difference(ours, other)) is not None]
    return Setting(
        setting.label,
        setting.reference,
        setting.runs,
        delta=mean(differences),
        p_value=paired_p_value(differences),
    )


def _tables(comparison: Comparison) -> tuple[Table, ...]:
    against = comparison.rows[0].experiment
    about = f"Percent; Δ in points, against {against}."
    return (
        Table(f"Scores, {comparison.mode}", comparison_grid(comparison), about),
        Table(f"IoU by class, {comparison.mode}", comparison_class_grid(comparison), about),
    )
