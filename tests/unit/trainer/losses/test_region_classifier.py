from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.losses.reference import assert_near, random_labels
from trainer.losses.region_branch import RegionBranch
from trainer.losses.region_classifier import EtfRegionClassifier, Projection, RegionClassifier

D, K, P, HIDDEN = 6, 4, 3, 8
FORMS = ["linear", "etf", "projection"]


def _branch(form: str, *, seed: int = 0, dropout: float = 0.1) -> RegionBranch:
    kind = EtfRegionClassifier if form == "etf" else RegionClassifier
    projected = form == "projection"
    return RegionBranch(
        kind(P if projected else D, K, hidden=HIDDEN, dropout=dropout, seed=seed),
        num_classes=K,
        region_counts=[100, 40, 0, 3],
        projection=Projection(D, P, seed=seed) if projected else None,
    )


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(3, D, 4, 5, generator=generator), random_labels(generator, (3, 12, 15), K)


@pytest.mark.parametrize("form", FORMS)
def test_global_random_stream_is_left_alone(form: str) -> None:
    """Neither making the branch nor its dropout in training moves torch's own stream."""
    features, target = _batch()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    branch = _branch(form)
    branch(features, target)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("form", FORMS)
def test_no_initialisation_by_layer_type_finds_anything(form: str) -> None:
    """None of torch's layers is inside, whose type an `init_cfg` of mmseg could name."""
    layers = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Dropout)
    assert not [module for module in _branch(form).modules() if isinstance(module, layers)]


@pytest.mark.parametrize("form", FORMS)
def test_initialisation_depends_on_the_seed_alone(form: str) -> None:
    """Same seed, same state, whatever was drawn before; another seed, another state."""
    torch.manual_seed(1)
    first = _branch(form, seed=3).state_dict()
    torch.rand(7)
    again, other = _branch(form, seed=3).state_dict(), _branch(form, seed=4).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    drawn = [name for name in first if name.endswith(("weight", "frame")) and "norm" not in name]
    assert len(drawn) == (3 if form == "projection" else 2)
    assert not [name for name in drawn if torch.equal(first[name], other[name])]


def test_parameters_are_in_the_range_of_torchs_layers() -> None:
    """Bounds are 1 / sqrt(inputs), as nn.Linear and nn.Conv2d have them."""
    classifier, projection = RegionClassifier(D, K, hidden=HIDDEN), Projection(D, 50)
    assert classifier.hidden_weight.abs().max() <= 1 / math.sqrt(D)
    assert classifier.output_bias.abs().max() <= 1 / math.sqrt(HIDDEN)
    assert 0.9 / math.sqrt(D) < projection.weight.abs().max() <= 1 / math.sqrt(D)


@pytest.mark.parametrize("form", FORMS)
def test_dropout_is_new_each_step_and_resumes_exactly(form: str) -> None:
    """Masks differ from step to step; a branch loaded from a state dict goes on with the same masks."""
    features, target = _batch()
    branch = _branch(form, dropout=0.5)
    first = branch(features, target)[0].total
    state = copy.deepcopy(branch.state_dict())
    second = branch(features, target)[0].total
    resumed = _branch(form, dropout=0.5)
    resumed.load_state_dict(state)
    assert not torch.equal(first, second)
    assert torch.equal(resumed(features, target)[0].total, second)


def test_dropout_keeps_the_expected_value() -> None:
    """About the stated share of units is dropped, the others are scaled up; none in evaluation."""
    classifier = RegionClassifier(1, 1, hidden=20_000, dropout=0.1)
    ones = torch.ones(5, 20_000)
    dropped = classifier.dropped(ones)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert (dropped == 0).double().mean().item() == pytest.approx(0.1, abs=0.01)
    classifier.eval()
    assert torch.equal(classifier.dropped(ones), ones)
    assert int(classifier.step) == 1


def test_etf_logits_equal_their_written_out_formula() -> None:
    """5 · frameᵀ x / |x|, x the hidden layer after its ReLU: 5 times the cosine with a class's direction."""
    classifier = EtfRegionClassifier(D, K, hidden=HIDDEN, dropout=0).double().requires_grad_(False)
    rows = torch.randn(7, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = torch.zeros(7, K, dtype=torch.float64)
    for r, row in enumerate(rows):
        x = [
            max(0.0, float(w @ row + b))
            for w, b in zip(classifier.hidden_weight, classifier.hidden_bias, strict=True)
        ]
        length = math.sqrt(sum(value * value for value in x))
        for k in range(K):
            wanted[r, k] = 5 * sum(float(classifier.frame[i, k]) * x[i] / length for i in range(HIDDEN))
    assert_near(classifier(rows), wanted, torch.float64)
    assert classifier(rows).abs().max() <= 5


def test_etf_learns_the_hidden_layer_alone() -> None:
    """The frame gets no gradient and is no parameter, but is saved."""
    classifier = EtfRegionClassifier(D, K, hidden=HIDDEN)
    assert {name for name, _ in classifier.named_parameters()} == {"hidden_weight", "hidden_bias"}
    assert "frame" in classifier.state_dict()
    assert not classifier.frame.requires_grad


def test_etf_of_a_dead_hidden_layer_is_zero_with_a_graph() -> None:
    """A region that no hidden unit answers to gets logits 0 and a zero gradient, not 0/0."""
    classifier = EtfRegionClassifier(D, K, hidden=HIDDEN)
    nn.init.constant_(classifier.hidden_bias, -100.0)
    rows = torch.randn(3, D, requires_grad=True)
    logits = classifier(rows)
    logits.sum().backward()
    assert not logits.any()
    assert rows.grad is not None
    assert not rows.grad.any()


def test_etf_gradcheck() -> None:
    """Finite differences agree in float64, through the normalisation."""
    classifier = EtfRegionClassifier(D, K, hidden=HIDDEN, dropout=0).double()
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(3, D, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(classifier, (rows,))


def test_projection_equals_its_written_out_formula() -> None:
    """(W f - mean) / sqrt(variance + 1e-5) · weight + bias; the statistics are over the batch's pixels."""
    projection = Projection(D, P).double()
    nn.init.uniform_(projection.norm_weight, generator=torch.Generator().manual_seed(1))
    nn.init.uniform_(projection.norm_bias, generator=torch.Generator().manual_seed(2))
    features = _batch()[0].double()
    n, _, h, w = features.shape
    wanted = torch.zeros(n, P, h, w, dtype=torch.float64)
    for p in range(P):
        rows = sum(projection.weight[p, d, 0, 0] * features[:, d] for d in range(D))
        assert isinstance(rows, Tensor)
        mean = rows.sum() / rows.numel()
        variance = ((rows - mean) ** 2).sum() / rows.numel()
        normed = (rows - mean) / torch.sqrt(variance + 1e-5)
        wanted[:, p] = normed * projection.norm_weight[p] + projection.norm_bias[p]
    assert_near(projection(features), wanted.detach(), torch.float64)


def test_projection_is_that_of_torchs_layers() -> None:
    """The same numbers as nn.Conv2d without bias and nn.BatchNorm2d in training."""
    projection, features = Projection(D, P), _batch()[0]
    conv, norm = nn.Conv2d(D, P, 1, bias=False), nn.BatchNorm2d(P)
    with torch.no_grad():
        conv.weight.copy_(projection.weight)
    assert_near(projection(features), norm(conv(features)), torch.float32)


def test_projection_gradcheck() -> None:
    """Finite differences agree in float64, through the batch's statistics."""
    projection = Projection(D, P).double()
    features = _batch()[0].double()[:2, :, :2, :2].requires_grad_()
    assert torch.autograd.gradcheck(projection, (features,))


def test_projection_of_one_pixel_is_the_bias() -> None:
    """One picture with one feature cell has no variance: the norm's bias comes out, and no error."""
    # In float64: without variance the norm multiplies the rounding error of x - mean by 1 / sqrt(1e-5).
    projection = Projection(D, P).double()
    nn.init.constant_(projection.norm_bias, 0.5)
    pixel = torch.randn(1, D, 1, 1, dtype=torch.float64)
    assert_near(projection(pixel), torch.full((1, P, 1, 1), 0.5, dtype=torch.float64), torch.float64)


@pytest.mark.parametrize("form", FORMS)
def test_autocast_stays_near_float32(form: str) -> None:
    """Under bf16 autocast the loss is float32 and within bf16's precision; gradients are finite."""
    features, target = _batch()
    losses = []
    for enabled in (False, True):
        branch = _branch(form, dropout=0)
        given = features.bfloat16() if enabled else features
        leaf = given.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss, _ = branch(leaf, target)
        loss.total.backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert loss.total.dtype is torch.float32
        losses.append(loss.total.detach())
    assert_near(losses[1], losses[0], torch.bfloat16)


def test_more_classes_than_hidden_units_are_refused() -> None:
    """The frame's error names both numbers."""
    with pytest.raises(ValueError, match="9 classes does not fit into 8"):
        EtfRegionClassifier(D, 9, hidden=HIDDEN)
