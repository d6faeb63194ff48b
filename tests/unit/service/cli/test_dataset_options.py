"""`rebalance reproduce` takes whatever a data set can be told."""

from __future__ import annotations

from typing import Any

import pytest

from service.cli.dataset_options import dataset_document
from service.cli.main import build_parser, main
from tests.unit.service.served import Service
from trainer.base.ends import ExitCode
from trainer.spec.data.datasets import DATASETS


def document(*options: str) -> dict[str, Any]:
    words = ["reproduce", "table1", "--model", "small", "--dataset", "folder", *options]
    return dataset_document(build_parser().parse_args(words))


def test_every_field_has_an_option() -> None:
    """Also those of data sets yet to come: the options are made from the models."""
    told = vars(build_parser().parse_args(["reproduce", "table1", "--model", "small", "--dataset", "folder"]))
    fields = {name for entry in DATASETS.values() for name in entry.parameters.model_fields} - {"name"}
    assert {name.removeprefix("dataset_") for name in told if name.startswith("dataset_")} == fields


def test_values_are_of_the_fields_types() -> None:
    """Text stays text, numbers become JSON's; what was left out is left to the service."""
    assert document() == {"name": "folder"}
    told = document("--root", "/data/1", "--train-split", "2024", "--scale", "0.5", "--dataset-seed", "3")
    assert told == {"name": "folder", "root": "/data/1", "train_split": "2024", "scale": 0.5, "seed": 3}
    assert document("--scale", "half")["scale"] == "half"
    assert document("--frequency-table", "null") == {"name": "folder", "frequency_table": None}
    assert document("--frequency-table", "./null", "--train-split", "null") == {
        "name": "folder", "train_split": "null", "frequency_table": "./null",
    }  # fmt: skip


def test_seeds_keep_their_option() -> None:
    """No field's option is what another begins with: --seed would be taken for --seeds."""
    (choices,) = [each.choices for each in build_parser()._actions if isinstance(each.choices, dict)]
    options = set(choices["reproduce"]._option_string_actions)
    assert {"--dataset-seed", "--seeds", "--scale"} <= options
    clashing = {
        one for one in options for other in options - {one} if other.startswith(one) and one != "--dataset"
    }
    assert not clashing


def test_the_service_judges_them(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """An option of another data set is refused with its pointer and the fields there are."""
    words = ["reproduce", "table6", "--dataset", "digit_scenes", "--model", "small", "--scale", "0.5"]
    assert main([*words, "--api", service.url]) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert "/base/dataset/scale" in told
    assert "train_images" in told
