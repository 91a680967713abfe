"""Worker pool: bounded queue, disconnected clients, restart after a crash."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fer_lmdb.errors import FerLmdbError, ModelError
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.worker import Worker, _public_names
from fer_lmdb.serve.worker_pool import WorkerPool


@asynccontextmanager
async def open_pool(fake_worker, **settings):
    pool = WorkerPool(ServerSettings(**settings), fake_worker)
    pool.start_workers()
    pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def error_code(awaitable) -> str:
    with pytest.raises(ApiError) as caught:
        await awaitable
    return caught.value.code


def test_images_are_processed_in_order_with_the_selected_model(fake_worker) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker) as pool:
            answers = await asyncio.gather(*(pool.predict(b"x" * n, "p", "one") for n in range(1, 9)))
            assert [answer["width"] for answer in answers] == list(range(1, 9))
            assert pool.default_model == pool.check_model(None) == "one"
            assert pool.check_model("two") == "two"
            with pytest.raises(ApiError, match="unknown model 'three'; choose one of: one, two"):
                pool.check_model("three")
            assert await error_code(pool.predict(b"bad", "p", "one")) == "damaged_picture"

    asyncio.run(scenario())


def test_full_queue_rejects_with_retry_after(fake_worker) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker, queue=2) as pool:
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


def test_cancelled_request_leaves_the_queue(fake_worker) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker, queue=1) as pool:
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
def test_worker_is_restarted_after_a_crash_or_timeout(fake_worker, data: bytes, code: str) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker, work_seconds=0.5) as pool:
            assert await error_code(pool.predict(data, "p", "one")) == code
            assert not pool.ready
            assert (await pool.predict(b"fine", "p", "one"))["width"] == 4
            assert pool.ready

    asyncio.run(scenario())


def test_queue_time_limit(fake_worker) -> None:
    async def scenario() -> None:
        pool = WorkerPool(ServerSettings(wait_seconds=0.1, work_seconds=0.1), fake_worker)
        try:  # no worker takes a job, so that the outcome does not depend on the load of the machine
            assert await error_code(pool.predict(b"fine", "p", "one")) == "waited_too_long"
            assert pool.waiting == 0
        finally:
            await pool.close()

    asyncio.run(scenario())


def test_per_client_limit_exempts_loopback(fake_worker) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker, per_client=1) as pool:
            slow = asyncio.ensure_future(pool.predict(b"slow", "p", "one", "192.0.2.7"))
            await asyncio.sleep(0.1)
            assert await error_code(pool.predict(b"fine", "p", "one", "192.0.2.7")) == "too_many_requests"
            local = [pool.predict(b"fine", "p", "one", "127.0.0.1") for _ in range(3)]
            await asyncio.gather(slow, pool.predict(b"fine", "p", "one", "192.0.2.8"), *local)
            assert (await pool.predict(b"fine", "p", "one", "192.0.2.7"))["width"] == 4

    asyncio.run(scenario())


def test_closing_rejects_queued_jobs(fake_worker) -> None:
    async def scenario() -> None:
        async with open_pool(fake_worker) as pool:
            jobs = [asyncio.ensure_future(pool.predict(b"hang", "p", "one")) for _ in range(2)]
            await asyncio.sleep(0.1)
            await pool.close()
            assert await error_code(jobs[1]) == "not_ready"
            jobs[0].cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "message"), [("broken", "not a readable .safetensors file"), ("dead", "exited while it was starting")]
)
def test_worker_that_cannot_start_is_one_error(fake_worker, model: str, message: str) -> None:
    with pytest.raises(FerLmdbError, match=message):
        WorkerPool(ServerSettings(models=(model,)), fake_worker).start_workers()


def test_worker_reports_a_missing_model() -> None:
    with pytest.raises(ModelError, match='no model "nothing"'):
        Worker(ServerSettings(models=("nothing",)))


def test_public_model_names_contain_no_path() -> None:
    assert _public_names(("/home/me/runs/mine", "other/mine.safetensors", "face_emotion_net")) == {
        "mine": "/home/me/runs/mine",
        "mine-2": "other/mine.safetensors",
        "face_emotion_net": "face_emotion_net",
    }


def test_isolated_gradio_restores_the_environment(web_extra, monkeypatch) -> None:
    from fer_lmdb.serve.server import isolated_gradio

    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with isolated_gradio():
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        assert Path(os.environ["GRADIO_TEMP_DIR"]).is_dir()
    assert os.environ["GRADIO_TEMP_DIR"] == "before"
    assert "HF_HUB_OFFLINE" not in os.environ
