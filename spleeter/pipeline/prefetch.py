"""An iterator that a thread runs ahead of its consumer, so that decoding, computing and encoding overlap."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias, TypeVar

from spleeter.errors import SpleeterError

__all__ = ["prefetch"]

Item = TypeVar("Item")

_Ahead: TypeAlias = queue.Queue[tuple[Item] | BaseException | None]
"""An item, the error that ended the source, or None at its end."""


def prefetch(source: Iterable[Item], depth: int = 2, cancel: Callable[[], None] = lambda: None) -> Generator[Item]:
    """Yield the items of `source`, which a thread iterates over up to `depth` items ahead.

    An error in `source` is raised here, in its place. Closing this generator stops the thread and waits for it, and
    closes `source` if it is a generator: do so (`contextlib.closing`) before releasing what `source` reads from.
    `cancel` is called first, from whichever thread closes: it ends a wait of `source` that could last for ever.

    Raises:
        SpleeterError: in a process that was forked meanwhile, for the thread is the parent's.
    """
    process = os.getpid()
    ahead: _Ahead[Item] = queue.Queue(depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_fill, args=(source, ahead, stopped), daemon=True)
    worker.start()
    entry: tuple[Item] | BaseException | None = None
    try:
        while True:
            if os.getpid() != process:
                raise SpleeterError("a separation that is under way is not continued in a forked process: begin anew")
            if (entry := ahead.get()) is None:
                break
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        entry = None  # an error holds this frame: holding it too would make a ring that only the collector opens
        stopped.set()
        cancel()
        while worker.is_alive():  # it may wait for room in the queue
            _drain(ahead)
            worker.join(0.05)


def _fill(source: Iterable[Item], ahead: _Ahead[Item], stopped: threading.Event) -> None:
    try:
        for item in source:
            ahead.put((item,))
            if stopped.is_set():
                break
        if isinstance(source, Generator):
            source.close()
        ahead.put(None)
    except BaseException as error:  # whatever it is, the consumer is the one to know
        ahead.put(error)


def _drain(ahead: _Ahead[Item]) -> None:
    while not ahead.empty():
        ahead.get_nowait()
