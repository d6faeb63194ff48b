"""One engine, its images and one stack for all tests of containers; and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.containers import images
from tests.deploy.containers.engine import Engine, own_engine
from tests.deploy.containers.kept import keep
from tests.deploy.containers.stack import Stack
from tests.deploy.containers.tools import NoEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Skips, and says so, where none can be had."""
    began = time.monotonic()
    opened = own_engine()
    try:
        found = opened.__enter__()
    except NoEngine as why:
        print(f"no container engine: {why}")
        pytest.skip(f"no container engine: {why}")
    keep("seconds", "engine", round(time.monotonic() - began, 1))
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def built(engine: Engine) -> Engine:
    """The engine with all images."""
    began = time.monotonic()
    images.make_base(engine)
    keep("seconds", "base image", round(time.monotonic() - began, 1))
    with ThreadPoolExecutor() as both:
        local = both.submit(images.build_local, engine)
        print(images.build_ours(engine))
        local.result()
    keep("seconds", "all images", round(time.monotonic() - began, 1))
    for image in (images.BASE, *(f"region-rebalance/{name}" for name in images.OURS)):
        keep("megabytes", image, images.size_of(engine, image) // 10**6)
    return engine


@pytest.fixture(scope="module")
def stack(built: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Up, with its first token; down at the module's end, where none of its tests did so."""
    stack = Stack(built, tmp_path_factory.mktemp("stack"))
    try:
        keep("seconds", "up --wait", round(stack.up(), 1))
    except AssertionError:
        print(stack.compose("ps", "--all", check=False), stack.compose("logs", "--tail", "40", check=False))
        raise
    stack.make_token()
    yield stack
    stack.down()
