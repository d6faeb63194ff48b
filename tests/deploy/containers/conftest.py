"""One engine, its images and one stack for all tests of containers; and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.containers import images
from tests.deploy.containers.engine import Engine, own_engine
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
    print(f"\nengine: {time.monotonic() - began:.0f} s")
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def built(engine: Engine) -> Engine:
    """The engine with all images."""
    began = time.monotonic()
    images.make_base(engine)
    print(f"base image: {images.size_of(engine, images.BASE) // 10**6} MB, {time.monotonic() - began:.0f} s")
    with ThreadPoolExecutor() as both:
        local = both.submit(images.build_local, engine)
        print(images.build_ours(engine))
        local.result()
    print(f"all images: {time.monotonic() - began:.0f} s")
    return engine


@pytest.fixture(scope="session")
def stack(built: Engine) -> Stack:
    """Up, with its first token; what is left of it goes with the engine."""
    stack = Stack(built)
    try:
        print(f"up --wait: {stack.up():.0f} s")
    except AssertionError:
        print(stack.compose("ps", "--all", check=False), stack.compose("logs", "--tail", "40", check=False))
        raise
    stack.make_token()
    return stack
