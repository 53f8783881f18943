"""Laws of the number of cores."""

import os
from pathlib import Path

import pytest

from spleeter.utils.cpus import available_cpus
from tests.utils.test_forks import holds_in_a_child


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinities")
def test_cores_are_those_of_the_affinity() -> None:
    def law() -> bool:
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        return available_cpus() == 1

    assert holds_in_a_child(law)


@pytest.mark.parametrize(("quota", "at_most"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 1 << 20)])
def test_cores_are_at_most_those_of_the_containers_quota(
    monkeypatch: pytest.MonkeyPatch, quota: str, at_most: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda path: quota)
    assert available_cpus() == min(64, at_most)
