"""The packaged catalogue is what the installed mmsegmentation's files render to."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from trainer.mmseg_adapter.shipped.files import file_names
from trainer.mmseg_adapter.shipped.recipes import write_recipes
from trainer.mmseg_adapter.shipped.render import CATALOGUE, as_text, catalogue
from trainer.spec.catalogue.shipped import packaged, shipped

SAMPLE = 12
LARGEST = 120_000_000  # parameters; larger models take seconds each


def test_every_file_is_in_the_catalogue() -> None:
    """And nothing else is."""
    assert list(shipped()) == file_names()


@pytest.mark.slow
def test_rendered_again_it_is_the_same() -> None:
    """A seeded sample of files; with CATALOGUE=all every one, and then the texts, byte for byte."""
    if os.environ.get("CATALOGUE") == "all":
        for name, content in catalogue().items():
            assert as_text(content) == (CATALOGUE / name).read_text(encoding="utf-8")
        return
    ordinary = [name for name, entry in shipped().items() if (entry.parameters or 0) <= LARGEST]
    names = random.Random(0).sample(ordinary, SAMPLE)
    again = catalogue(names)
    index, models = packaged("index.json"), packaged("models.json")
    # A sample does not see all dates of weights' names.
    for name in names:
        assert again["index.json"][name] == index[name]
        assert again["models.json"][index[name]["model"]] == models[index[name]["model"]]


@pytest.mark.slow
def test_recipes_made_again_are_the_same(tmp_path: Path) -> None:
    """Byte for byte, parameters counted again."""
    write_recipes(tmp_path)
    assert (tmp_path / "recipes.json").read_bytes() == (CATALOGUE / "recipes.json").read_bytes()


def test_the_papers_numbers(shared_data: Path) -> None:
    """As they were read from the paper, table by table."""
    paper = json.loads((shared_data / "paper_results.json").read_text(encoding="utf-8"))
    for name, rows in {**packaged("paper.json"), **packaged("published.json")}.items():
        assert rows == paper[name]
