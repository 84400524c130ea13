"""`Commit`: the moment at which writes become durable, as something to await that costs next to nothing.

Many writes share one transaction, so they share one Commit. Awaiting it works in three ways:

* In an asyncio task, as usual. asyncio takes any object for a future whose class has `_asyncio_future_blocking`; the
  methods below are those that it and `asyncio.wait`, `gather` and `wait_for` call. No Future is made for each writer.
* In a coroutine that is stepped by hand: `coroutine.send(None)` returns the Commit. Whoever steps it says
  `commit.add_done_callback(...)` and sends None again when called.
* Without any coroutine, by `add_done_callback` alone.

A commit cannot be called back. So `cancel` refuses, and a task that is cancelled while it waits gets its CancelledError
when the commit is over: it never goes on without knowing how it ended by accident.
"""

import asyncio
import collections
import contextvars
from collections.abc import Callable, Generator
from typing import Any, Final

from ringback.errors import StoreError

__all__ = ["Commit"]

# Callers that are told in one turn of the loop. Each of them goes on at once and may take 50 µs to answer its request:
# a thousand in one turn would hold up everything else.
TURN: Final = 64

Callback = Callable[["Commit"], object]


class Commit:
    """A transaction that is under way or over."""

    __slots__ = ("_asyncio_future_blocking", "_callbacks", "_cause", "_done", "_failure", "_loop")

    # asyncio's mark of a future: True from the moment that a coroutine yields it until its task has taken it over.
    _asyncio_future_blocking: bool

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """`loop` is where the callbacks run; None only for a commit that is finished before anybody awaits it."""
        self._asyncio_future_blocking = False
        self._callbacks: collections.deque[tuple[Callback, contextvars.Context | None]] = collections.deque()
        self._cause: BaseException | None = None
        self._done = False
        self._failure = ""
        self._loop = loop

    def __await__(self) -> Generator[Any, None, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def finish(self, failure: str = "", cause: BaseException | None = None) -> None:
        """The transaction is over, and failed if `failure` says why. Tells the callbacks, the first of them right now.

        For the driver alone; it runs in the loop, outside any task.
        """
        self._done = True
        self._failure = failure
        self._cause = cause
        if self._callbacks:
            self._tell()

    def _tell(self) -> None:
        callbacks = self._callbacks
        try:
            for _ in range(min(TURN, len(callbacks))):
                callback, context = callbacks.popleft()
                try:
                    if context is None:
                        callback(self)
                    else:
                        context.run(callback, self)
                except Exception as error:
                    # One caller's fault must not keep the others waiting for ever.
                    self.get_loop().call_exception_handler(
                        {"message": f"Exception in {callback!r}, called after a commit", "exception": error}
                    )
        finally:
            if callbacks:
                self.get_loop().call_soon(self._tell)

    def add_done_callback(self, callback: Callback, *, context: contextvars.Context | None = None) -> None:
        """Call `callback(self)` when the transaction is over; in the next turn of the loop when it is already."""
        if not self._done:
            self._callbacks.append((callback, context))
        else:
            # Not at once: `gather` is ready for its callbacks only after it has given one to each future.
            self.get_loop().call_soon(callback, self, context=context)

    def remove_done_callback(self, callback: Callback) -> int:
        """Forget `callback`; how often it was there."""
        kept = [entry for entry in self._callbacks if entry[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = collections.deque(kept)
        return removed

    def done(self) -> bool:
        return self._done

    def result(self) -> None:
        """Raises StoreError when the transaction failed, asyncio.InvalidStateError when it is not over."""
        if not self._done:
            raise asyncio.InvalidStateError("the commit is not over")
        if self._failure:
            # A new exception for each caller: one that they shared would collect everybody's traceback.
            raise StoreError(self._failure) from self._cause

    def exception(self) -> StoreError | None:
        """The error that `result` raises, or None. Raises asyncio.InvalidStateError like it."""
        try:
            self.result()
        except StoreError as error:
            return error
        return None

    def cancel(self, msg: object = None) -> bool:
        """Always False: see above."""
        return False

    def cancelled(self) -> bool:
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Where the callbacks run. Raises RuntimeError when that is any loop and none is running."""
        return asyncio.get_running_loop() if self._loop is None else self._loop

    def __repr__(self) -> str:
        state = "pending" if not self._done else f"failed: {self._failure}" if self._failure else "done"
        return f"<Commit {state}>"
