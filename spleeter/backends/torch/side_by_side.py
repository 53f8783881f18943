"""Stems side by side, each computed by threads of its own.

Torch divides every operator among a team of threads, all of which wait for the slowest after each: where another
program keeps a core busy, the whole team waits for the one that was put to sleep, hundreds of times a segment. Stems
do not wait for each other, but once in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Barrier

import torch

from spleeter.utils.forks import PerProcess
from spleeter.utils.threads import Threads

__all__ = ["SideBySide"]


class SideBySide:
    """Calls a function with each of some numbers, several at a time. It is used by one thread at a time.

    The caller's number of torch threads is divided evenly among those at work. What does not come out even, such as
    the last of three stems on two threads, is computed by the caller with all of its threads.
    """

    def __init__(self) -> None:
        self._sizes = (1, 1)
        self._threads: PerProcess[Threads] | None = None

    def __call__(self, function: Callable[[int], object], n_items: int) -> None:
        """Call `function` with 0 to n_items - 1."""
        n_threads = torch.get_num_threads()
        n_at_once = max(n for n in range(1, min(n_items, n_threads) + 1) if n_threads % n == 0)
        n_side_by_side = 0 if n_at_once == 1 else n_items - n_items % n_at_once
        modes = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

        def call(item: int) -> None:
            with torch.inference_mode(modes[0]), torch.set_grad_enabled(modes[1]):  # each thread has its own
                function(item)

        if n_side_by_side:
            self._started(n_at_once, n_threads // n_at_once).map(call, range(n_side_by_side))
        for item in range(n_side_by_side, n_items):
            function(item)

    def _started(self, n_at_once: int, n_each: int) -> Threads:
        if self._threads is None or self._sizes != (n_at_once, n_each):
            self._sizes = n_at_once, n_each
            self._threads = PerProcess(partial(_start, n_at_once, n_each))
        return self._threads.get()


def _start(n_at_once: int, n_each: int) -> Threads:
    """Threads with so many torch threads each."""
    usual, are_set = torch.get_num_threads(), Barrier(n_at_once + 1)

    def prepare() -> None:
        torch.get_num_threads()  # has torch set the usual number in this thread, which it would do later
        torch.set_num_threads(n_each)
        are_set.wait()

    threads = Threads(n_at_once, "spleeter-stem", prepare)
    are_set.wait()
    torch.set_num_threads(usual)  # the number is a thread's own, but also what threads to come begin with
    return threads
