"""An iterator worked ahead by a thread, so that decoding, computing and encoding overlap."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(source: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items of `source`, which a thread works off up to `depth` items ahead.

    An error in `source` is raised here, in its place. Closing this generator stops the thread and closes `source`,
    and waits for both.
    """
    ahead: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_work_off, args=(source, ahead, stopped), daemon=True)
    worker.start()
    try:
        while (entry := ahead.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        while worker.is_alive():  # it may wait for room in the queue
            _drain(ahead)
            worker.join(0.05)


def _work_off(
    source: Iterable[Item], ahead: "queue.Queue[tuple[Item] | BaseException | None]", stopped: threading.Event
) -> None:
    iterator = iter(source)
    try:
        for item in iterator:
            ahead.put((item,))
            if stopped.is_set():
                break
        ahead.put(None)
    except BaseException as error:  # whatever it is, the consumer is the one to know
        ahead.put(error)
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


def _drain(ahead: "queue.Queue[tuple[Item] | BaseException | None]") -> None:
    while not ahead.empty():
        ahead.get_nowait()
