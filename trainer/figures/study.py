"""What a report is about: settings, their runs that completed, and what each is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainer.results.comparability import difference, ground_of, key_of, why_apart
from trainer.results.grids import Grid
from trainer.results.report import AttemptReport, ClassScore, Scores
from trainer.results.scores import column_title
from trainer.results.statistics import mean
from trainer.spec.evaluation import SINGLE_SCALE, ScoreName
from trainer.spec.spec import ExperimentSpec
from trainer.storage.directories import AttemptDir, FollowupDir

ClassKey = tuple[int, str]
MOST_SETTINGS = 24  # that are drawn: more can be told apart by nobody


@dataclass(frozen=True)
class Run:
    """One experiment that completed.

    Attributes:
        scores: in the mode that the report is about.
        attempts: its run directories, oldest first, the last one the report's; none where only that is there.
        followups: what was done with it afterwards, oldest first.
    """

    report: AttemptReport
    scores: Scores
    attempts: tuple[AttemptDir, ...] = ()
    followups: tuple[FollowupDir, ...] = ()

    @property
    def experiment(self) -> str:
        return self.report.experiment

    @property
    def seed(self) -> int:
        return self.report.spec.seed

    @property
    def seconds(self) -> float:
        """Training and evaluation, without start-up, of the last attempt."""
        result = self.report.result
        assert result is not None, "only completed runs are in a study"
        return result.train_seconds + result.eval_seconds


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed alone.

    Attributes:
        label: what it is called everywhere in the report; no other setting has it.
        reference: label of the setting that it is compared with; its own where others are compared with it.
        runs: by ascending seed, at least one.
        delta, p_value: of the metric against the reference, as the table has them.
        published: the paper's mIoU in percent.
    """

    label: str
    reference: str
    runs: tuple[Run, ...]
    delta: float | None = None
    p_value: float | None = None
    published: float | None = None

    @property
    def is_reference(self) -> bool:
        return self.label == self.reference

    @property
    def spec(self) -> ExperimentSpec:
        """Of its first run: but for the seed all of them were asked for the same."""
        return self.runs[0].report.spec

    def values(self, score: ScoreName) -> list[float]:
        """A score of each run that has it, in percent."""
        found = (run.scores.headline[score] for run in self.runs)
        return [value for value in found if value is not None]

    def class_means(self, field: str) -> dict[ClassKey, float | None]:
        """`iou` or `acc` of each class in percent: the mean over the runs that have one."""
        found: dict[ClassKey, list[float]] = {}
        for run in self.runs:
            for one in run.scores.classes:
                value = getattr(one, field)
                found.setdefault(key_of(one), []).extend([] if value is None else [value])
        return {key: mean(values) for key, values in found.items()}


@dataclass(frozen=True)
class Table:
    """A table of the report, as text."""

    title: str
    grid: Grid
    about: str = ""


@dataclass(frozen=True)
class Study:
    """All that a report is made from.

    Attributes:
        title: what it is called.
        subject: what was compared, for its head: a sweep's id, or those of experiments.
        settings: in their order; the first is a reference.
        mode: in which all of them were scored.
        metric: what settings are ranked by.
        tables: shown before the figures.
        notes: what a reader must know.
    """

    title: str
    subject: str
    settings: tuple[Setting, ...]
    mode: str = SINGLE_SCALE
    metric: ScoreName = "mIoU"
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> Iterator[tuple[Setting, Run]]:
        """Every run with its setting."""
        return ((setting, run) for setting in self.settings for run in setting.runs)

    @property
    def metric_title(self) -> str:
        return column_title(self.metric) if self.metric.endswith("_mIoU") else self.metric

    def setting(self, label: str) -> Setting | None:
        """The setting of this label; None where it has no run that completed."""
        return next((one for one in self.settings if one.label == label), None)

    def compared(self) -> Iterator[tuple[Setting, Setting]]:
        """Each setting that may be subtracted from its reference, with it; references themselves left out."""
        for setting in self.settings:
            base = self.setting(setting.reference)
            if base is not None and not setting.is_reference and may_subtract(setting, base):
                yield setting, base


def may_subtract(setting: Setting, base: Setting) -> bool:
    """Whether all runs of both were scored on the same labels."""
    grounds = {ground_of(run.scores) for run in (*base.runs, *setting.runs)}
    first = ground_of(base.runs[0].scores)
    return all(why_apart(ground, first) is None for ground in grounds)


def paired(setting: Setting, base: Setting) -> list[tuple[Run, Run]]:
    """(run of the reference, run) of each seed that both have; the two first runs where they share none."""
    by_seed = {run.seed: run for run in base.runs}
    shared = [(by_seed[run.seed], run) for run in setting.runs if run.seed in by_seed]
    return shared or [(base.runs[0], setting.runs[0])]


def by_frequency(classes: Sequence[ClassScore]) -> list[ClassScore]:
    """Most training pixels first; of equals in the order of the classes."""
    return sorted(classes, key=lambda one: -one.pixel_frequency)


def class_deltas(setting: Setting, base: Setting, field: str) -> dict[ClassKey, float | None]:
    """`iou` or `acc` of each class against the reference's, in points: a difference of means over seeds."""
    theirs = base.class_means(field)
    return {key: difference(value, theirs.get(key)) for key, value in setting.class_means(field).items()}
