"""What a data set, a model or a person may hand over that no loss expects: an error that says so, or no NaN.

Letters: N images, K classes, D channels of the features, H W label size, h w feature size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo
from torch import Tensor

from tests.factories import tiny_document
from tests.variants import IGNORE, VARIANTS, make_criterion
from trainer.base.errors import SpecError
from trainer.criterion import Criterion
from trainer.spec.methods import METHODS
from trainer.spec.spec import parse_spec

pytestmark = pytest.mark.usefixtures("one_thread")

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
PATTERNS: dict[str, Callable[[Tensor], Tensor]] = {
    "mixed": lambda labels: labels,
    "all ignored": lambda labels: torch.full_like(labels, IGNORE),
    "one class": torch.zeros_like,
    "one image ignored": lambda labels: torch.cat([torch.full_like(labels[:1], IGNORE), labels[1:]]),
    "one pixel": lambda labels: torch.full_like(labels, IGNORE).put_(torch.tensor(0), torch.tensor(0)),
}
EXAMPLES = 60
COUNTS = [0, 1, 2, 1000, 10**9]
Case = tuple[Criterion, Tensor, Tensor, Tensor]


# ---------------------------------------------------------------- no NaN, whatever a batch looks like


def values_of(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Any value that a method's parameter may have, its bounds more often than chance would."""
    annotation, default = field.annotation, st.just(field.default)
    if annotation is bool:
        return st.booleans()
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    bounds = {type(bound): bound for bound in field.metadata}
    low = getattr(bounds.get(Ge) or bounds.get(Gt), "ge" if Ge in bounds else "gt")
    high = getattr(bounds.get(Le) or bounds.get(Lt), "le" if Le in bounds else "lt")
    if annotation is float:
        exclude = {"exclude_min": Gt in bounds, "exclude_max": Lt in bounds}
        return default | st.floats(low, high, allow_subnormal=False, **exclude)
    return default | st.sampled_from([low, min(high, 64)])  # whole numbers are widths: small ones will do


def documents(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = {field.alias or name: field for name, field in METHODS[kind].model_fields.items()}
    return st.fixed_dictionaries({name: values_of(field) for name, field in fields.items()})


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """A criterion of `kind`, and logits, features and labels of any shape, type, size and pattern for it."""
    side = st.integers(1, 7)
    images, num_classes, channels = draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(1, 3))
    height, width, h, w = (draw(side) for _ in range(4))
    dtype, scale = draw(st.sampled_from(DTYPES)), draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]))
    counts = st.lists(st.sampled_from(COUNTS), min_size=num_classes, max_size=num_classes).filter(any)
    criterion = make_criterion(
        draw(documents(kind)),
        pixel_counts=draw(counts),
        region_counts=draw(counts),
        feature_channels=channels,
        align_corners=draw(st.booleans()),
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))

    def values(*shape: int) -> Tensor:
        drawn = scale * torch.randn(*shape, generator=generator).clamp(-1, 1)
        return drawn.to(dtype).requires_grad_()

    labels = torch.randint(0, num_classes + 1, (images, height, width), generator=generator)
    labels = labels.masked_fill(labels == num_classes, IGNORE)
    target = PATTERNS[draw(st.sampled_from(sorted(PATTERNS)))](labels)
    if dtype is torch.float64:
        criterion.double()  # as `double` of a whole model does; narrower values meet float32 parameters
    return criterion, values(images, num_classes, height, width), values(images, channels, h, w), target


def losses_and_gradients(case: Case) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """The losses of a case, and the gradients of their sum by its inputs and by every parameter."""
    criterion, logits, features, target = case
    losses = {
        name: value for name, value in criterion(logits, features, target).items() if name.startswith("loss_")
    }
    torch.stack([value.double() for value in losses.values()]).sum().backward()
    leaves = {"logits": logits, "features": features, **dict(criterion.named_parameters())}
    return losses, {name: leaf.grad for name, leaf in leaves.items()}


def _counts_void(criterion: Criterion) -> bool:
    """Whether it is mmseg's own form of Dice, in which ignored pixels belong to no class and count."""
    return any(getattr(loss, "mean_over", "") == "all_images" for loss in criterion.pixel_losses.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", METHODS)
def test_no_loss_and_no_gradient_is_ever_nan(kind: str) -> None:
    """Any shape, type, label pattern, count table and parameter within bounds, with values up to ±1e4:
    losses and gradients are finite; where no pixel counts, they are 0 (but in mmseg's form of Dice).
    """

    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(case=cases(kind))
    def check(case: Case) -> None:
        losses, gradients = losses_and_gradients(case)
        assert losses
        wrong = [name for name, value in losses.items() if not value.isfinite()]
        wrong += [
            name for name, value in gradients.items() if value is not None and not value.isfinite().all()
        ]
        assert not wrong
        if (case[-1] == IGNORE).all() and not _counts_void(case[0]):
            assert not any(value.item() for value in losses.values())
            assert not any(value.any() for value in gradients.values() if value is not None)

    check()


OURS = {name: document for name, document in VARIANTS.items() if document.get("form") != "mmseg"}


@pytest.mark.parametrize("document", OURS.values(), ids=OURS)
def test_a_wholly_ignored_batch_is_zero_with_a_graph(document: dict[str, Any]) -> None:
    """Each loss is 0, and the logits, the features of a branch and all parameters get a gradient of zeros.

    Not so mmseg's own form of Dice, in which ignored pixels belong to no class and count.
    """
    criterion = make_criterion(document)
    logits, features = torch.randn(2, 3, 8, 8).requires_grad_(), torch.randn(2, 4, 2, 2).requires_grad_()
    losses, gradients = losses_and_gradients((criterion, logits, features, torch.full((2, 8, 8), IGNORE)))
    if criterion.region_branch is None:
        del gradients["features"]
    assert [value.item() for value in losses.values()] == [0.0] * len(losses)
    assert [name for name, value in gradients.items() if value is None or value.any()] == []


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("labels", "extremes"), [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2"), ([-7, 300], "-7 to 300")]
)
@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_labels_out_of_range_are_named(document: dict[str, Any], labels: list[int], extremes: str) -> None:
    """A label that is neither a class nor ignored raises with the extremes and what is allowed."""
    target = torch.full((1, 4, 4), IGNORE)
    target[0, 0, :2] = torch.tensor(labels)
    with pytest.raises(ValueError, match=rf"labels from {extremes}; allowed: 0 to 2, or 255 \(ignored\)"):
        make_criterion(document)(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 2, 2), target)


BAD_COUNTS: dict[str, tuple[list[float], str]] = {
    "negative": ([5, -1, 3], "class 1: -1"),
    "NaN": ([5, 3, math.nan], "class 2: nan"),
    "infinite": ([math.inf, 3, 1], "class 0: inf"),
    "fractional": ([5, 2.5, 3], "class 1: 2.5"),
    "all zero": ([0, 0, 0], "none of the 3 classes occurs"),
}


@pytest.mark.parametrize("table", ["pixel_counts", "region_counts"])
@pytest.mark.parametrize("case", BAD_COUNTS)
@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_bad_count_tables_are_refused(document: dict[str, Any], case: str, table: str) -> None:
    """Counts that are no counts raise when the criterion is made, for every method, naming the class."""
    counts, match = BAD_COUNTS[case]
    with pytest.raises(ValueError, match=match):
        make_criterion(document, **{table: counts})


@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_count_tables_of_another_length_are_refused(document: dict[str, Any]) -> None:
    """Tables that differ in length raise at once; one table too short for the model in the first step."""
    with pytest.raises(ValueError, match="2 pixel counts but 3 region counts"):
        make_criterion(document, pixel_counts=[1, 2])
    short = make_criterion(document, pixel_counts=[1, 2], region_counts=[1, 2])
    with pytest.raises(ValueError, match="3 logits for each pixel, but class counts for 2 classes"):
        short(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 4, dtype=torch.int64))


NUMBERS = [
    (kind, field.alias or name)
    for kind, model in METHODS.items()
    for name, field in model.model_fields.items()
    if field.annotation is float
]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "-0.1", "1e9"])
@pytest.mark.parametrize(("kind", "parameter"), NUMBERS)
def test_parameters_that_are_no_numbers_are_named(kind: str, parameter: str, text: str) -> None:
    """λ, τ and every other number of a method: NaN, infinity or out of bounds is refused at its place."""
    method = json.loads(f'{{"kind": "{kind}", "{parameter}": {text}}}')
    with pytest.raises(SpecError) as caught:
        parse_spec(tiny_document(method=method))
    (problem,) = caught.value.problems
    assert problem.pointer == f"/method/{parameter}"
    assert problem.allowed
