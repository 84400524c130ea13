"""A commit, awaited in every way that there is."""

import asyncio
import contextvars
import traceback
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.store.commit import TURN, Commit


def commit() -> Commit:
    return Commit(asyncio.get_running_loop())


async def wait_for(awaited: Commit) -> str:
    await awaited
    return "done"


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def finish(awaited: Commit, failure: str = "", cause: BaseException | None = None) -> None:
    """End a commit as the driver does: in the loop, outside any task, since it resumes the tasks that wait."""
    asyncio.get_running_loop().call_soon(awaited.finish, failure, cause)
    await turns(1)


async def test_a_task_waits_until_it_is_over() -> None:
    awaited = commit()
    task = asyncio.ensure_future(wait_for(awaited))
    await turns()
    assert not task.done()
    await finish(awaited)
    assert task.done() and await task == "done"


async def test_many_tasks_wait_for_the_same() -> None:
    awaited = commit()
    tasks = [asyncio.ensure_future(wait_for(awaited)) for _ in range(3 * TURN + 1)]
    await turns()
    await finish(awaited)
    assert await asyncio.gather(*tasks) == ["done"] * len(tasks)


async def test_what_is_over_does_not_suspend() -> None:
    over = Commit(None)
    over.finish()
    with pytest.raises(StopIteration):
        wait_for(over).send(None)


def test_what_was_over_from_the_start_belongs_to_whichever_loop_runs() -> None:
    over = Commit(None)
    over.finish()

    async def look() -> bool:
        return over.get_loop() is asyncio.get_running_loop()

    assert asyncio.run(look()) and asyncio.run(look())
    with pytest.raises(RuntimeError, match="no running event loop"):
        over.get_loop()


async def test_a_failure_is_raised_in_each_that_waits() -> None:
    awaited = commit()
    cause = OSError("no space")
    tasks = [asyncio.ensure_future(wait_for(awaited)) for _ in range(3)]
    await turns()
    await finish(awaited, "nothing was written: no space", cause)
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [(type(error), str(error)) for error in errors] == [(StoreError, "nothing was written: no space")] * 3
    assert len({id(error) for error in errors}) == 3, "an exception that is shared collects tracebacks"
    assert all(isinstance(error, StoreError) and error.__cause__ is cause for error in errors)
    assert len(traceback.format_exception(awaited.exception())) < 20
    with pytest.raises(StoreError):
        await awaited


async def test_by_hand() -> None:
    awaited = commit()
    coroutine = wait_for(awaited)
    assert coroutine.send(None) is awaited
    told: list[Commit] = []
    awaited.add_done_callback(told.append)
    awaited.finish()
    assert told == [awaited]
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    assert stopped.value.value == "done"


async def test_by_hand_and_too_early() -> None:
    coroutine = wait_for(commit())
    coroutine.send(None)
    with pytest.raises(asyncio.InvalidStateError):
        coroutine.send(None)


async def test_by_hand_and_by_tasks_at_once() -> None:
    awaited = commit()
    by_hand = wait_for(awaited)
    assert by_hand.send(None) is awaited
    task = asyncio.ensure_future(wait_for(awaited))
    await turns()
    another = wait_for(awaited)
    assert another.send(None) is awaited
    second = asyncio.ensure_future(wait_for(awaited))
    await turns()
    await finish(awaited)
    for coroutine in (by_hand, another):
        with pytest.raises(StopIteration):
            coroutine.send(None)
    assert await asyncio.gather(task, second) == ["done", "done"]


async def test_callbacks_run_in_order_and_soon_when_it_is_over() -> None:
    awaited = commit()
    told: list[int] = []
    for number in range(3):
        awaited.add_done_callback(lambda _, number=number: told.append(number))
    awaited.finish()
    assert told == [0, 1, 2]
    awaited.add_done_callback(lambda _: told.append(3))
    awaited.add_done_callback(lambda _: told.append(4), context=contextvars.copy_context())
    assert told == [0, 1, 2], "as asyncio's futures do: whoever adds a callback is not called back meanwhile"
    await turns(1)
    assert told == [0, 1, 2, 3, 4]


async def test_callbacks_do_not_hold_up_the_loop() -> None:
    awaited = commit()
    told = 0

    def count(_: Commit) -> None:
        nonlocal told
        told += 1

    for _ in range(2 * TURN + 5):
        awaited.add_done_callback(count)
    awaited.finish()
    seen = [told]
    while told < 2 * TURN + 5:
        await asyncio.sleep(0)
        seen.append(told)
    assert seen == [TURN, 2 * TURN, 2 * TURN + 5]


async def test_a_callback_that_fails_is_reported_and_keeps_nobody_waiting() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    awaited = commit()
    told: list[Commit] = []

    def fail(_: Commit) -> None:
        raise ZeroDivisionError("at fault")

    awaited.add_done_callback(fail)
    awaited.add_done_callback(told.append)
    awaited.finish()
    assert told == [awaited]
    assert [str(report["exception"]) for report in reports] == ["at fault"]


async def test_a_callback_that_ends_the_program_leaves_the_others_to_the_next_turn() -> None:
    awaited = commit()
    told: list[Commit] = []

    def leave(_: Commit) -> None:
        raise SystemExit(3)

    awaited.add_done_callback(leave)
    awaited.add_done_callback(told.append)
    with pytest.raises(SystemExit):
        awaited.finish()
    await turns()
    assert told == [awaited]


async def test_a_callback_can_be_removed() -> None:
    awaited = commit()
    told: list[Commit] = []
    awaited.add_done_callback(told.append)
    awaited.add_done_callback(told.append)
    assert awaited.remove_done_callback(told.append) == 2
    assert awaited.remove_done_callback(told.append) == 0
    awaited.finish()
    assert told == []


async def test_a_task_goes_on_in_its_own_context() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    awaited = commit()

    async def look() -> str:
        variable.set("inside")
        await awaited
        return variable.get()

    task = asyncio.create_task(look())
    await turns()
    await finish(awaited)
    assert await task == "inside" and variable.get() == "outside"


async def test_a_cancelled_task_learns_it_when_the_commit_is_over() -> None:
    awaited = commit()
    task = asyncio.ensure_future(wait_for(awaited))
    await turns()
    task.cancel()
    await turns()
    assert not task.done(), "the write is under way: it cannot be called back"
    await finish(awaited)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert awaited.cancel() is False and awaited.cancelled() is False


async def test_a_task_that_runs_out_of_time_leaves_the_others_alone() -> None:
    awaited = commit()
    patient = asyncio.ensure_future(wait_for(awaited))
    hasty = asyncio.ensure_future(asyncio.wait_for(wait_for(awaited), 0.001))
    await asyncio.sleep(0.01)
    await finish(awaited)
    assert await patient == "done"
    with pytest.raises(TimeoutError):
        await hasty


async def test_asyncio_takes_it_for_a_future() -> None:
    awaited = commit()
    loop = asyncio.get_running_loop()
    assert asyncio.isfuture(awaited) and asyncio.ensure_future(awaited) is awaited  # type: ignore[arg-type]
    gathered = asyncio.ensure_future(asyncio.gather(awaited, awaited, wait_for(awaited)))
    waited = asyncio.ensure_future(asyncio.wait({awaited}))  # type: ignore[type-var]
    shielded = asyncio.shield(awaited)
    await turns()
    loop.call_soon(awaited.finish)
    assert await gathered == [None, None, "done"]
    assert await waited == ({awaited}, set())
    assert await shielded is None
    # And once more with one that is over.
    assert await asyncio.gather(awaited, wait_for(awaited)) == [None, "done"]
    assert await asyncio.gather(awaited) == [None], "all over before gather has begun to wait"
    assert await asyncio.wait_for(awaited, 1) is None  # type: ignore[arg-type]
    assert await asyncio.wait({awaited}) == ({awaited}, set())  # type: ignore[type-var]


def test_a_task_of_another_loop_is_told_so() -> None:
    other = asyncio.new_event_loop()
    awaited = Commit(other)

    async def wait() -> None:
        with pytest.raises(RuntimeError, match="different loop"):
            await asyncio.ensure_future(wait_for(awaited))

    try:
        asyncio.run(wait())
    finally:
        other.close()


async def test_its_state_can_be_asked_for() -> None:
    awaited = commit()
    assert repr(awaited) == "<Commit pending>" and not awaited.done()
    with pytest.raises(asyncio.InvalidStateError):
        awaited.result()
    with pytest.raises(asyncio.InvalidStateError):
        awaited.exception()
    awaited.finish()
    awaited.result()
    assert repr(awaited) == "<Commit done>" and awaited.done() and awaited.exception() is None
    failed = commit()
    failed.finish("no")
    assert repr(failed) == "<Commit failed: no>" and str(failed.exception()) == "no"
