"""One long-lived thread that works requests off; those that wait at the same time are taken together."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")


class BatchWorker(Generic[Request, Result]):
    """Does `process` for whoever calls it, from any thread, in one thread, in the order of the calls.

    Args:
        process: requests -> a result for each. An error is raised to all of the requests' callers.
        weigh: how much of the capacity a request takes.
        capacity: the most that is taken together; a request that weighs more is taken alone.
    """

    def __init__(
        self, process: Callable[[Sequence[Request]], Sequence[Result]], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._process, self._weigh, self._capacity = process, weigh, capacity
        self._waiting: deque[tuple[Request, Future[Result]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spleeter-compute")

    def __call__(self, request: Request) -> Result:
        """Have a request processed, and wait for its result."""
        future: Future[Result] = Future()
        self._waiting.append((request, future))
        self._thread.submit(self._work)
        return future.result()

    def _work(self) -> None:
        """Process those that wait; as often as there are calls, so maybe there is none left."""
        batch = self._next_batch()
        if not batch:
            return
        try:
            results = self._process([request for request, _ in batch])
        except BaseException as error:  # whatever it is, the callers are the ones to know
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

    def _next_batch(self) -> list[tuple[Request, Future[Result]]]:
        batch: list[tuple[Request, Future[Result]]] = []
        room = self._capacity
        while self._waiting and (not batch or self._weigh(self._waiting[0][0]) <= room):
            batch.append(self._waiting.popleft())
            room -= self._weigh(batch[-1][0])
        return batch
