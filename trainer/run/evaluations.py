"""The scores of a run, mode by mode: in the first as training goes on, in the others once, at its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from mmengine.runner import Runner

from trainer.mmseg_adapter.scoring.predictor import way_of
from trainer.mmseg_adapter.scoring.progress import ScoringProgress
from trainer.mmseg_adapter.scoring.split import score_split
from trainer.mmseg_adapter.step.average import scored
from trainer.plan import Plan
from trainer.results.from_counts import make_scores
from trainer.results.report import Scores
from trainer.results.split_counts import SplitCounts
from trainer.run.shown import Shown
from trainer.storage.sink import Sink


class Evaluations:
    """Newest scores and counts by mode, on every rank; those of the first mode are told as they come."""

    def __init__(self, plan: Plan, sink: Sink) -> None:
        self._plan = plan
        self._sink = sink
        self._first, *self._others = plan.spec.evaluation.by_name
        self.scores: dict[str, Scores] = {}  # in the order of the spec, once complete
        self.counts: dict[str, SplitCounts] = {}
        self.seconds = 0.0
        self.shown = Shown(plan)
        self._watcher: Callable[[int, Scores], None] = lambda _, __: None

    def watch(self, watcher: Callable[[int, Scores], None]) -> None:
        """`watcher` gets the iteration and scores of each evaluation in the first mode, on every rank, before
        anybody is told: who is told may end the run.
        """
        self._watcher = watcher

    def add(self, iteration: int, counts: SplitCounts, seconds: float) -> None:
        """Takes an evaluation in the first mode."""
        self._keep(self._first, counts, seconds)
        scores = self.scores[self._first]
        self._watcher(iteration, scores)
        shown = {name: value for name, value in scores.headline.items() if value is not None}
        self._sink.emit({"kind": "eval", "iteration": iteration, **shown, "seconds": seconds})

    def complete(self, runner: Runner) -> None:
        """Scores the trained model in all modes that it was not scored in.

        In the first it was, but for a run that was killed after its last step: resumed, its loop has nothing
        left to do.
        """
        if self._first not in self.scores:
            runner.val_loop.run()
        if not self._others:
            return
        message = f"scoring in {', '.join(self._others)}"

        def tell(text: str) -> None:
            self._sink.emit({"kind": "event", "iteration": runner.iter, "message": text})

        tell(message)
        started = time.perf_counter()
        data, modes = self._plan.data, self._plan.spec.evaluation.by_name
        counts = score_split(
            scored(runner),  # the ranks evaluated the same model a moment ago: see EvaluationHook
            data.files(data.eval_split),
            {name: modes[name] for name in self._others},
            way_of(self._plan.spec),
            loader_workers=self._plan.config["val_dataloader"]["num_workers"],
            on_picture=ScoringProgress(self._plan.data.eval_images, tell).add,
        )
        each = (time.perf_counter() - started) / len(counts)
        for name, found in counts.items():
            self._keep(name, found, each)

    def _keep(self, mode: str, counts: SplitCounts, seconds: float) -> None:
        self.seconds += seconds
        self.counts[mode] = counts
        self.scores[mode] = make_scores(
            counts,
            class_names=self._plan.data.classes,
            pixel_counts=self._plan.frequencies.pixel,
            region_counts=self._plan.frequencies.region,
            group_boundaries=self._plan.spec.evaluation.group_boundaries,
        )
