"""The file with quotas and weights: what it may say, what is refused, and that a change of it counts."""

from __future__ import annotations

import os
from datetime import timedelta
from math import inf
from pathlib import Path

import pytest

from service.scheduling.amounts import UNLIMITED, Amount
from service.scheduling.policy import PolicyError, PolicyFile
from service.scheduling.snapshot import Account, Rules

WHOLE = """
ageing = "2d"
patience = 0          # seconds
protected = "5m"

[user]
gpus = 8
concurrent = 10

[users.ann]
gpus = "unlimited"
weight = 2

[projects.roads]
cpus = 64
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "policy.toml"
    found.write_text(WHOLE)
    return found


def test_what_it_says(file: Path) -> None:
    """What a table leaves out is as for all of its kind, and there without a limit."""
    rules = PolicyFile(file).current().rules
    assert (rules.ageing, rules.patience) == (timedelta(days=2), timedelta(0))
    assert rules.protected == timedelta(minutes=5)
    assert rules.quota(Account("user", "bob")) == Amount(8, inf, 10)
    assert rules.quota(Account("user", "ann")) == Amount(inf, inf, 10)
    assert rules.quota(Account("project", "roads")) == Amount(inf, 64, inf)
    assert rules.quota(Account("project", "else")) is UNLIMITED
    assert rules.weights == {Account("user", "ann"): 2}


def test_without_a_file_nothing_is_limited() -> None:
    """Nor is capacity counted: the number of experiments alone decides."""
    current = PolicyFile(None).current()
    assert (current.rules, current.count_capacity, current.trouble) == (Rules(), False, None)


def test_an_empty_file_counts_capacity(file: Path) -> None:
    """All else is as without one."""
    file.write_text("")
    current = PolicyFile(file).current()
    assert (current.rules, current.count_capacity) == (Rules(), True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[user]\ngpus = -1", "/user/gpus: -1 is below the minimum; allowed: "),
        ("[user]\nconcurrent = 'none'", '/user/concurrent: "none" is '),
        ("[users.ann]\nweight = 0", "/users/ann/weight: 0 is not above the minimum"),
        ("[projects.'a b']\ngpus = 1", "/projects/a b: "),
        ("quota = 3", "/quota: is not a field of this object; allowed: the fields count_capacity, "),
        ("ageing = '1 day'", '/ageing: "1 day" is '),
        ("[user", "allowed: TOML in UTF-8"),
        ("\ud800", "allowed: TOML in UTF-8"),
    ],
)
def test_what_is_refused(file: Path, text: str, said: str) -> None:
    """The file, the place in it, what is wrong, what is allowed."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PolicyError) as caught:
        PolicyFile(file)
    assert str(caught.value).startswith(f"REBALANCE_POLICY: {file}: ")
    assert said in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """It was named, so it is meant."""
    with pytest.raises(PolicyError, match=r"policy\.toml: cannot be read \(No such file or directory\)"):
        PolicyFile(tmp_path / "policy.toml")


def test_a_change_counts_and_a_mistake_does_not(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The rules of before hold while the file is wrong or away, which is told once; then the new ones do."""
    policy = PolicyFile(file)
    before = policy.current().rules
    for spoil in (lambda: file.write_text("[user]\ngpus = -1"), file.unlink):
        caplog.clear()
        spoil()
        for _ in range(3):
            current = policy.current()
            assert current.rules == before
            assert current.trouble is not None
            assert str(file) in current.trouble
        assert [record.message for record in caplog.records] == ["policy unusable"]
    file.write_text("[user]\ngpus = 4")
    os.utime(file, ns=(1, 1))
    current = policy.current()
    assert current.trouble is None
    assert current.rules.any_user == Amount(4, inf, inf)
