"""Laws of the thread that works requests off."""

import contextlib
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from spleeter.pipeline.workers import BatchWorker

Callers = partial(ThreadPoolExecutor, thread_name_prefix="caller")


def wait_until_waiting(n_callers: int) -> None:
    """Wait until so many of the callers' threads wait for their results: their requests are then queued."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        frames = sys._current_frames()
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("caller")]
        tops = [frames[thread.ident] for thread in threads if thread.ident in frames]
        if sum(top.f_code is threading.Condition.wait.__code__ for top in tops) == n_callers:
            return
        time.sleep(0.001)
    pytest.fail(f"{n_callers} callers were to wait")


def test_everyone_gets_their_own_result() -> None:
    worker = BatchWorker[int, int](lambda numbers: [number**2 for number in numbers], lambda _: 1, capacity=3)
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(worker, range(200))) == [number**2 for number in range(200)]


def test_all_is_done_in_one_and_the_same_thread() -> None:
    worker = BatchWorker[int, int](lambda asked: [threading.get_ident() for _ in asked], lambda _: 1, capacity=1)
    with ThreadPoolExecutor(4) as callers:
        assert len(set(callers.map(worker, range(50)))) == 1


def taken_together(weights: Sequence[int], capacity: int) -> list[list[int]]:
    """What is taken together if all the requests wait while another one is worked on."""
    batches: list[list[int]] = []
    begun, gate = threading.Event(), threading.Event()

    def process(requests: Sequence[int]) -> Sequence[int]:
        batches.append(list(requests))
        begun.set()
        gate.wait(10)
        return requests

    worker = BatchWorker[int, int](process, abs, capacity)
    with Callers(len(weights) + 1) as callers:
        callers.submit(worker, 0)
        begun.wait(10)
        asked = []
        for weight in weights:
            asked.append(callers.submit(worker, weight))
            wait_until_waiting(1 + len(asked))
        gate.set()
        assert [future.result() for future in asked] == list(weights)
    return batches[1:]


def test_those_that_wait_are_taken_together_up_to_the_capacity() -> None:
    assert taken_together([1, 2, 1, 3, 1, 1, 1], capacity=4) == [[1, 2, 1], [3, 1], [1, 1]]


def test_what_is_too_heavy_is_taken_alone() -> None:
    assert taken_together([9, 1, 1, 9], capacity=4) == [[9], [1, 1], [9]]


def test_an_error_reaches_the_caller_and_the_thread_goes_on() -> None:
    worker = BatchWorker[int, int](lambda numbers: [10 // number for number in numbers], lambda _: 1, capacity=1)
    with pytest.raises(ZeroDivisionError):
        worker(0)
    assert worker(5) == 2


def test_requests_that_fail_together_are_tried_alone() -> None:
    """So that a lack of memory for all of them fails none, and a bad request fails alone."""
    begun, gate = threading.Event(), threading.Event()

    def process(numbers: Sequence[int]) -> Sequence[int]:
        begun.set()
        gate.wait(10)
        if len(numbers) > 2:
            raise MemoryError
        return [10 // number for number in numbers]

    worker = BatchWorker[int, int](process, lambda _: 1, capacity=9)
    with Callers(4) as callers:
        first = callers.submit(worker, 1)
        begun.wait(10)
        others = [callers.submit(worker, number) for number in (2, 0, 5)]
        wait_until_waiting(4)
        gate.set()
        assert first.result() == 10
        assert [others[0].result(), others[2].result()] == [5, 2]
        assert isinstance(others[1].exception(), ZeroDivisionError)


def test_what_an_error_was_about_is_not_kept() -> None:
    class Large:
        pass

    held: list[weakref.ref[Large]] = []

    def process(requests: Sequence[int]) -> Sequence[int]:
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError("too large")

    worker = BatchWorker[int, int](process, lambda _: 1, capacity=1)
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            worker(1)
        deadline = time.monotonic() + 10
        while held[0]() is not None:  # the thread may be about to let it go
            assert time.monotonic() < deadline
    finally:
        gc.enable()


def test_the_thread_ends_with_the_worker() -> None:
    worker = BatchWorker[int, int](lambda asked: asked, lambda _: 1, capacity=1)
    worker(1)
    before = {thread for thread in threading.enumerate() if thread.name == "spleeter-compute"}
    del worker
    gc.collect()
    for thread in before:
        thread.join(10)
    assert not any(thread.is_alive() for thread in before)


ENDS_WHILE_THE_WORKER_IS_THERE = """
import torch
from spleeter.pipeline.workers import BatchWorker
worker = BatchWorker(lambda sizes: [torch.randn(size, size) @ torch.randn(size, size) for size in sizes], abs, 1)
worker(300)
"""


def test_the_interpreter_ends_without_an_error() -> None:
    for _ in range(4):
        command = [sys.executable, "-c", ENDS_WHILE_THE_WORKER_IS_THERE]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
