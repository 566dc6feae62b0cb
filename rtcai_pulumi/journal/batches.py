"""Collects what several threads request at the same moment; one round trip to the storage serves them all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Request = TypeVar("Request")
Outcome = TypeVar("Outcome")


class Batches(Generic[Request, Outcome]):
    """One thread that serves the requests of all threads.

    Args:
        name: the name of the thread.
        serve: serves the requests that wait at the same moment; returns an outcome or an exception for each.
        make_error: makes the error of a request that cannot be served any more, from the reason.
        finish: called at the end of the thread, however it ends.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Request]], Sequence[Outcome | Exception]],
        make_error: Callable[[str], Exception],
        finish: Callable[[], None],
    ) -> None:
        self._serve_batch = serve
        self._make_error = make_error
        self._finish = finish
        self._requests: queue.SimpleQueue[tuple[Request, Future[Outcome]] | None] = queue.SimpleQueue()
        self._accepting = threading.Lock()
        self._is_closed = self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve what waits, then end the thread."""
        with self._accepting:
            self._is_closed = self._is_closing = True
            self._requests.put(None)
        self._thread.join()

    def run(self, request: Request) -> Outcome:
        """Serve a request, and wait for its outcome.

        Raises:
            Exception: the exception that was returned for it, or that it cannot be served any more.
        """
        done: Future[Outcome] = Future()
        with self._accepting:
            if self._is_closed:
                raise self._closed_error()
            self._requests.put((request, done))
        return done.result()

    def _closed_error(self) -> Exception:
        return self._make_error("this process is shutting down" if self._is_closing else "an earlier write failed")

    def _serve(self) -> None:
        """However this method ends, every waiting thread gets an outcome or an error."""
        waiting: list[tuple[Request, Future[Outcome]]] = []
        is_last = False
        try:
            while not is_last:
                batch = [self._requests.get()]
                while not self._requests.empty():
                    batch.append(self._requests.get())
                is_last = None in batch
                waiting = [item for item in batch if item is not None]
                if waiting:
                    outcomes = self._serve_batch([request for request, _ in waiting])
                    for (_, done), outcome in zip(waiting, outcomes, strict=True):
                        if isinstance(outcome, Exception):
                            done.set_exception(outcome)
                        else:
                            done.set_result(outcome)
        finally:
            with self._accepting:
                self._is_closed = True
            while not self._requests.empty():
                waiting += filter(None, [self._requests.get()])
            for _, done in waiting:
                if not done.done():
                    done.set_exception(self._closed_error())
            self._finish()
