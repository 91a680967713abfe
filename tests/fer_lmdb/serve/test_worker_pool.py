"""The queue: bounded, fair to those who leave, and whole again after accidents."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from fer_lmdb.errors import FerLmdbError, ModelError
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.worker import Worker, _public_names
from fer_lmdb.serve.worker_pool import WorkerPool


@asynccontextmanager
async def opened(stand_in, **settings):
    pool = WorkerPool(ServerSettings(**settings), stand_in)
    pool.start_workers()
    pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def code_of(awaitable) -> str:
    with pytest.raises(ApiError) as caught:
        await awaitable
    return caught.value.code


async def warmed(pool: WorkerPool) -> None:
    """Wait until a worker answers; it takes longer to start than these tests let pictures wait."""
    for _ in range(400):
        try:
            await pool.predict(b"fine", "p", "one")
        except ApiError:
            await asyncio.sleep(0.05)
        else:
            return


def test_images_are_answered_in_turn_by_the_model_that_was_asked_for(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in) as pool:
            answers = await asyncio.gather(*(pool.predict(b"x" * n, "p", "one") for n in range(1, 9)))
            assert [answer["width"] for answer in answers] == list(range(1, 9))
            assert pool.default_model == pool.check_model(None) == "one"
            assert pool.check_model("two") == "two"
            with pytest.raises(ApiError, match="no model is called 'three'; there are: one, two"):
                pool.check_model("three")
            assert await code_of(pool.predict(b"bad", "p", "one")) == "damaged_picture"

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_says_when_to_come_back(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in, queue=2) as pool:
            working = [asyncio.ensure_future(pool.predict(b"slow", "p", "one"))]
            await asyncio.sleep(0.1)
            working += [asyncio.ensure_future(pool.predict(b"fine", "p", "one")) for _ in range(2)]
            await asyncio.sleep(0.1)
            with pytest.raises(ApiError) as caught:
                await pool.predict(b"fine", "p", "one")
            assert (caught.value.status, caught.value.code) == (503, "queue_full")
            assert caught.value.headers == {"Retry-After": str(caught.value.retry_after)}
            assert caught.value.retry_after >= 1
            assert len(await asyncio.gather(*working)) == 3
            assert (await pool.predict(b"fine", "p", "one"))["width"] == 4

    asyncio.run(scenario())


def test_who_leaves_frees_the_place(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in, queue=1) as pool:
            slow = asyncio.ensure_future(pool.predict(b"slow", "p", "one"))
            await asyncio.sleep(0.1)
            leaving = asyncio.ensure_future(pool.predict(b"fine", "p", "one"))
            await asyncio.sleep(0.1)
            assert pool.waiting == 1
            leaving.cancel()
            await asyncio.sleep(0.1)
            assert pool.waiting == 0
            assert (await pool.predict(b"fine", "p", "one"))["width"] == 4
            await slow

    asyncio.run(scenario())


@pytest.mark.parametrize(("data", "code"), [(b"hang", "took_too_long"), (b"die", "worker_lost")])
def test_after_an_accident_a_new_worker_answers(stand_in, data: bytes, code: str) -> None:
    async def scenario() -> None:
        async with opened(stand_in, work_seconds=0.5) as pool:
            assert await code_of(pool.predict(data, "p", "one")) == code
            assert not pool.ready
            assert (await pool.predict(b"fine", "p", "one"))["width"] == 4
            assert pool.ready

    asyncio.run(scenario())


def test_nobody_waits_for_ever(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in, wait_seconds=0.1, work_seconds=0.4) as pool:
            await warmed(pool)
            # Two, because a worker may be replaced so quickly that one would leave time for the third.
            slow = [asyncio.ensure_future(pool.predict(b"hang", "p", "one")) for _ in range(2)]
            await asyncio.sleep(0.02)
            assert await code_of(pool.predict(b"fine", "p", "one")) == "waited_too_long"
            assert [await code_of(one) for one in slow] == ["took_too_long", "waited_too_long"]

    asyncio.run(scenario())


def test_one_address_may_not_take_all_places_but_this_machine_may(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in, per_client=1) as pool:
            slow = asyncio.ensure_future(pool.predict(b"slow", "p", "one", "192.0.2.7"))
            await asyncio.sleep(0.1)
            assert await code_of(pool.predict(b"fine", "p", "one", "192.0.2.7")) == "too_many_requests"
            local = [pool.predict(b"fine", "p", "one", "127.0.0.1") for _ in range(3)]
            await asyncio.gather(slow, pool.predict(b"fine", "p", "one", "192.0.2.8"), *local)
            assert (await pool.predict(b"fine", "p", "one", "192.0.2.7"))["width"] == 4

    asyncio.run(scenario())


def test_closing_refuses_who_waits(stand_in) -> None:
    async def scenario() -> None:
        async with opened(stand_in) as pool:
            jobs = [asyncio.ensure_future(pool.predict(b"hang", "p", "one")) for _ in range(2)]
            await asyncio.sleep(0.1)
            await pool.close()
            assert await code_of(jobs[1]) == "not_ready"
            jobs[0].cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "message"), [("broken", "not a readable .safetensors file"), ("dead", "ended while it started")]
)
def test_a_worker_that_cannot_start_is_one_error(stand_in, model: str, message: str) -> None:
    with pytest.raises(FerLmdbError, match=message):
        WorkerPool(ServerSettings(models=(model,)), stand_in).start_workers()


def test_a_real_worker_says_which_model_is_missing() -> None:
    with pytest.raises(ModelError, match='no model "nothing"'):
        Worker(ServerSettings(models=("nothing",)))


def test_names_of_models_hold_no_path() -> None:
    assert _public_names(("/home/me/runs/mine", "other/mine.safetensors", "face_emotion_net")) == {
        "mine": "/home/me/runs/mine",
        "mine-2": "other/mine.safetensors",
        "face_emotion_net": "face_emotion_net",
    }
