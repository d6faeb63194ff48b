"""Tables of positions at another size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmseg.models.backbones import BEiT
from scipy.interpolate import RectBivariateSpline
from torch.nn.functional import interpolate

from tests.unit.trainer.mmseg_adapter.pretrained.backbones import make_model
from trainer.mmseg_adapter.pretrained.positions import bicubic, fitted, geometric_table


def as_unilm(table: torch.Tensor, src: int, dst: int) -> torch.Tensor:
    """(src², A) → (dst², A), step by step as the BEiT authors write it, with today's name of interp2d."""
    left, right = 1.01, 1.5
    while right - left > 1e-6:
        q = (left + right) / 2.0
        if (1 - q ** (src // 2)) / (1 - q) > dst // 2:
            right = q
        else:
            left = q
    places, current = [], 1.0
    for i in range(src // 2):
        places.append(current)
        current += q ** (i + 1)
    x = [-each for each in reversed(places)] + [0.0] + places
    wanted = np.arange(-(dst // 2), dst // 2 + 0.1, 1.0)
    columns = []
    for values in table.T:
        spline = RectBivariateSpline(x, x, values.reshape(src, src).double().numpy())
        columns.append(torch.from_numpy(spline(wanted, wanted)).flatten())
    return torch.stack(columns, 1).float()


@pytest.mark.parametrize(("src", "dst"), [(27, 79), (27, 63), (27, 23), (13, 15)])
def test_a_table_is_resized_as_the_authors_do(src: int, dst: int) -> None:
    """224 pixels to 640, to 512, to fewer: equal to the written-out procedure; other tokens stay."""
    table = torch.randn(src * src + 3, 2, generator=torch.Generator().manual_seed(0))
    made = geometric_table(table, (src, src), (dst, dst))
    assert made.shape == (dst * dst + 3, 2)
    torch.testing.assert_close(made[:-3], as_unilm(table[:-3], src, dst), rtol=1e-4, atol=1e-4)
    assert torch.equal(made[-3:], table[-3:])


def test_the_same_size_changes_nothing() -> None:
    """Not even by rounding."""
    table = torch.randn(52, 3)
    assert geometric_table(table, (7, 7), (7, 7)) is table


@given(rows=st.sampled_from([7, 11, 19]), columns=st.sampled_from([7, 9, 15]), seed=st.integers(0, 99))
def test_axes_are_alike(rows: int, columns: int, seed: int) -> None:
    """Turned round, a table becomes the resized one turned round; constants stay; heads do not mix."""
    table = torch.randn(7, 7, 2, generator=torch.Generator().manual_seed(seed))

    def made(of: torch.Tensor, new: tuple[int, int]) -> torch.Tensor:
        return geometric_table(of.flatten(0, 1), (7, 7), new).unflatten(0, new)

    turned = made(table.transpose(0, 1), (columns, rows)).transpose(0, 1)
    torch.testing.assert_close(made(table, (rows, columns)), turned)
    torch.testing.assert_close(made(table, (rows, columns))[..., :1], made(table[..., :1], (rows, columns)))
    torch.testing.assert_close(made(torch.ones(7, 7, 1), (rows, columns)), torch.ones(rows, columns, 1))


def test_near_positions_keep_their_values() -> None:
    """At distances 0 and ±1 the sequence has its own values: the centre of a table is kept."""
    table = torch.randn(27, 27, 1)
    made = geometric_table(table.flatten(0, 1), (27, 27), (79, 79)).unflatten(0, (79, 79))
    torch.testing.assert_close(made[38:41, 38:41], table[12:15, 12:15])


def test_swins_tables_are_bicubic() -> None:
    """As torch resizes a picture, head by head."""
    table = torch.randn(49, 3)
    made = bicubic(table, (7, 7), (13, 13))
    for head in range(3):
        picture = table[:, head].reshape(1, 1, 7, 7)
        expected = interpolate(picture, size=(13, 13), mode="bicubic", align_corners=False)
        torch.testing.assert_close(made[:, head], expected.flatten())


def _table(kind: str, **changes: Any) -> tuple[str, torch.Tensor, Any]:
    backbone = make_model(kind, **changes).backbone
    end = "pos_embed" if kind == "vit" else "relative_position_bias_table"
    name = next(name for name in backbone.state_dict() if name.endswith(end))
    return name, backbone.state_dict()[name], backbone


@pytest.mark.parametrize(
    ("kind", "larger"),
    [
        ("beit", {"img_size": (64, 64)}),
        ("beit", {"img_size": (64, 32)}),
        ("swin", {"window_size": 7}),
        ("vit", {"img_size": (48, 64)}),
    ],
)
def test_each_backbones_own_tables(kind: str, larger: dict[str, Any]) -> None:
    """Found by their names, and made as large as the model's, for pictures that are no squares as well."""
    name, table, _ = _table(kind)
    _, wanted, backbone = _table(kind, **larger)
    made = fitted(name, table, wanted, backbone)
    assert made is not None
    assert made.shape == wanted.shape


def test_vits_grid_is_resized_as_mmsegmentation_does() -> None:
    """Its own resize_pos_embed, the class token aside."""
    name, grid, _ = _table("vit")
    _, wanted, backbone = _table("vit", img_size=(48, 64))
    made = fitted(name, grid, wanted, backbone)
    expected = backbone.resize_pos_embed(grid, (12, 16), (8, 8), "bicubic")
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("length", [1, 2, 50, 51])
def test_what_is_no_square_is_none(length: int) -> None:
    """Of a table that cannot have been a square window's nothing is guessed."""
    name, wanted, backbone = _table("beit")
    assert isinstance(backbone, BEiT)
    assert fitted(name, torch.zeros(length, wanted.shape[1]), wanted, backbone) is None
    assert fitted("patch_embed.projection.weight", torch.zeros(2, 2), torch.zeros(3, 3), backbone) is None
