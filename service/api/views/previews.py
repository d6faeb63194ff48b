"""What an experiment would be, for `validate_only`: said without storing it."""

from __future__ import annotations

from service.api.views.experiments import overrides_public
from service.shared.schemas import ExperimentPreview, ProblemItem
from service.shared.settings import Settings
from sweeps.document.cost import cost_of
from sweeps.document.estimate import pixel_seconds, stored_reports
from trainer.base.errors import SpecError
from trainer.data.folders import resolve_spec
from trainer.spec.data.datasets import DATASETS
from trainer.spec.models import MmsegChoice, entry_of
from trainer.spec.recipes import recipes
from trainer.spec.spec import ExperimentSpec


def experiment_preview(spec: ExperimentSpec, settings: Settings) -> ExperimentPreview:
    """The expanded spec, what is known of its model, how long it may take, and what is not there yet."""
    problems: tuple[ProblemItem, ...] = ()
    try:
        spec = resolve_spec(
            spec, data_roots=settings.data_roots, storage=settings.layout, most=settings.max_cluster
        )
    except SpecError as error:
        problems = tuple(ProblemItem(pointer=p.pointer, got=p.got, allowed=p.allowed) for p in error.problems)
    document = spec.model_dump(mode="json")
    measured = pixel_seconds(stored_reports(settings.layout))
    return ExperimentPreview(
        spec=document,
        overrides=overrides_public(document),
        config=spec.model.mmseg if isinstance(spec.model, MmsegChoice) else None,
        parameters=_parameters(spec),
        evaluation_interval=spec.evaluation_interval,
        train_seconds=cost_of([spec], pixel_seconds=measured).train_seconds,
        problems=problems,
    )


def _parameters(spec: ExperimentSpec) -> int | None:
    """From the catalogue, where its model has as many classes as the spec's data set."""
    recipe = recipes().get(spec.recipe or "")
    model = spec.model.model_dump(mode="json")
    if recipe is not None and (recipe.dataset, recipe.fields["model"]) == (spec.dataset.name, model):
        return recipe.parameters
    entry, classes = entry_of(spec.model), DATASETS[spec.dataset.name].classes
    known = classes is not None and entry.num_classes == len(classes)
    return entry.parameters if known else None
