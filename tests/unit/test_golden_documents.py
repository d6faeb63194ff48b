"""The documents that others build on: the schema of a spec, and the API's OpenAPI document."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.api.app import create_app
from service.shared.settings import Settings
from tests.fakes import FakeBackend
from tests.paths import GOLDEN
from trainer.spec.spec import spec_schema


def openapi(directory: Path) -> dict[str, Any]:
    return create_app(Settings(data_dir=directory), FakeBackend()).openapi()


DOCUMENTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "spec_schema": lambda _: spec_schema(),
    "openapi": openapi,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_public_document_is_the_one_kept(name: str, tmp_path: Path) -> None:
    """A change of what users may send or get is seen in review. UPDATE_GOLDEN=1 rewrites the file."""
    document = json.dumps(DOCUMENTS[name](tmp_path), indent=1, ensure_ascii=False) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(document, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == document
