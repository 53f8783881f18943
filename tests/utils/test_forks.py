"""What a forked process has of its own, and what a fork and the end of the interpreter wait for."""

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from itertools import count
from textwrap import dedent

import pytest

from spleeter.utils.forks import COMPUTING, PerProcess
from spleeter.utils.threads import ThreadMap

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def holds_in_a_child(law: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a law holds in a forked process, which has so many seconds for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12 on
        child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if law() else 1
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def test_it_is_made_once_at_its_first_use() -> None:
    numbers = count()
    held = PerProcess(lambda: next(numbers))
    assert next(numbers) == 0
    assert held.get() == held.get() == 1


@needs_fork
def test_a_child_makes_its_own() -> None:
    pid = PerProcess(os.getpid)
    parent = pid.get()
    assert holds_in_a_child(lambda: pid.get() == os.getpid() != parent)
    assert pid.get() == parent


@needs_fork
def test_a_lock_that_is_held_by_another_thread_is_free_in_a_child() -> None:
    lock, is_held, go_on = PerProcess(threading.Lock), threading.Event(), threading.Event()

    def hold() -> None:
        with lock.get():
            is_held.set()
            go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(10)
    try:
        assert holds_in_a_child(lambda: lock.get().acquire(timeout=5))
    finally:
        go_on.set()
        holder.join()


@needs_fork
def test_threads_work_in_a_child_as_in_the_parent() -> None:
    on_threads = ThreadMap()
    on_threads.n_threads = 2
    assert on_threads(abs, [-1, 2]) == [1, 2]
    assert holds_in_a_child(lambda: on_threads(abs, [-3, 4]) == [3, 4])
    assert on_threads(abs, [-5, 6]) == [5, 6]


@needs_fork
def test_a_fork_waits_until_nothing_is_computed() -> None:
    is_computing, steps = threading.Event(), []

    def compute() -> None:
        for _ in range(200):  # again and again: the fork must not wait for its luck
            with COMPUTING:
                is_computing.set()
                steps.append("begun")
                time.sleep(0.01)
                steps.append("done")

    thread = threading.Thread(target=compute)
    thread.start()
    is_computing.wait(10)
    for _ in range(5):
        n_steps = len(steps)
        assert holds_in_a_child(lambda: steps[-1] == "done")
        assert len(steps) < n_steps + 100
    assert thread.is_alive()  # the forks did not wait for all of it
    thread.join()
    assert steps == ["begun", "done"] * 200  # and it went on


@needs_fork
def test_whoever_computes_can_fork() -> None:
    with COMPUTING:
        assert holds_in_a_child(lambda: True)
    with COMPUTING:
        pass


DAEMON = """
import threading, time
from spleeter.utils.forks import COMPUTING, SEPARATING
begun = threading.Event()
def work():
    with SEPARATING:
        try:
            while True:
                with COMPUTING:
                    begun.set()
                    time.sleep(0.01)
        finally:
            print("cleaned up", flush=True)
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


def test_a_daemon_thread_is_ended_with_the_program_and_cleans_up() -> None:
    done = subprocess.run([sys.executable, "-c", dedent(DAEMON)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "cleaned up\n")
    assert done.stderr.count("\n") == 1
    assert "daemon thread still separates" in done.stderr
