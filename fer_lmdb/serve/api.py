"""The HTTP API: /v1/predict, /v1/models, /healthz and its own documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fer_lmdb._version import __version__
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.uploads import UploadReader, discard
from fer_lmdb.serve.worker_pool import WorkerPool


class FaceDocument(BaseModel):
    """One face."""

    box: list[float]
    score: float
    landmarks: list[list[float]] | None
    expression: str
    probabilities: dict[str, float]


class ImageDocument(BaseModel):
    """One picture, as a line of `fer-lmdb predict --json`."""

    path: str
    width: int
    height: int
    faces: list[FaceDocument]
    error: str | None


class ErrorDetail(BaseModel):
    """What went wrong: a word for programs, a sentence for people."""

    code: str
    message: str
    retry_after: int | None = None


class ErrorDocument(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    408: {"model": ErrorDocument, "description": "The upload took too long."},
    413: {"model": ErrorDocument, "description": "Too many bytes or pixels."},
    415: {"model": ErrorDocument, "description": "Not a picture that can be read."},
    422: {"model": ErrorDocument, "description": "A damaged picture, an unknown model, a wrong field."},
    429: {"model": ErrorDocument, "description": "Too many pictures of one client; see Retry-After."},
    503: {"model": ErrorDocument, "description": "The queue is full or the time is over; see Retry-After."},
}
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
NOTICE = (
    "Finds faces and tells how each looks to an observer. An expression is not an inner state. "
    "No picture is stored. The European Union's AI Act forbids emotion recognition at work and in education."
)
METHODS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


def build_api(settings: ServerSettings, pool: WorkerPool, bodies: UploadReader) -> FastAPI:
    """Return the application with all routes but the page's.

    Args:
        settings: limits.
        pool: where pictures are recognised; whoever runs the application opens and closes it.
        bodies: reads uploads.
    """
    app = FastAPIOffline(title="fer-lmdb", version=__version__, description=NOTICE, redoc_url=None, debug=False)
    _answer_errors_as_json(app)
    _add_predict(app, pool, bodies)
    _add_facts(app, settings, pool)
    return app


def _add_predict(app: FastAPI, pool: WorkerPool, bodies: UploadReader) -> None:
    @app.post(
        "/v1/predict",
        response_model=ImageDocument,
        responses=ERRORS,
        openapi_extra=IMAGE_BODY,
        summary="Find the faces of a picture and tell their expressions",
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(max_length=200, description="A name of /v1/models.")] = None,
    ) -> Any:
        """Send the picture as the multipart field `file` or as the whole body; the answer is `predict --json`'s."""
        client = request.client.host if request.client else None
        try:
            name = pool.check_model(model)
            pool.check_capacity(client)
        except ApiError:
            await discard(request)
            raise
        async with bodies.read_image(request) as upload:
            answer = await _while_connected(request, pool.predict(upload.data, upload.name, name, client))
        return {"path": upload.name, **answer, "error": None}


def _add_facts(app: FastAPI, settings: ServerSettings, pool: WorkerPool) -> None:
    @app.get("/v1/models", summary="List the models, the default first")
    async def models() -> dict[str, Any]:
        return {"default": pool.default_model, "models": pool.models}

    @app.get("/healthz", summary="Say whether pictures are taken", responses={503: ERRORS[503]})
    async def healthz() -> dict[str, Any]:
        if not pool.ready:
            raise ApiError("not_ready", "no worker is ready; one is starting", retry_after=5)
        queue = {"waiting": pool.waiting, "places": settings.queue}
        limits = {"bytes": settings.max_bytes, "pixels": settings.max_pixels, "seconds": settings.work_seconds}
        return {"status": "ok", "version": __version__, "queue": queue, "limits": limits}


def _answer_errors_as_json(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def refused(_: Request, refusal: ApiError) -> Response:
        return _response(refusal)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return _response(ApiError("wrong_request", f"{place}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        code = METHODS.get(error.status_code, "bad_request")
        message = f"{request.method} {request.url.path[:80]}: {error.detail}; /docs lists what there is"
        response = _response(ApiError(code, message))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it; the log does not call it a mistake


def _response(error: ApiError) -> JSONResponse:
    """Answer with a refusal; a body that was not read to its end ends the connection."""
    headers = dict(error.headers)
    if error.code in {"too_large", "upload_too_slow", "queue_full", "too_many_requests", "unknown_model"}:
        headers["Connection"] = "close"
    return JSONResponse(error.to_dict(), error.status, headers)


async def _while_connected(request: Request, answer: Coroutine[Any, Any, Any]) -> Any:
    """Wait for an answer, but not longer than the client does.

    Raises:
        ClientDisconnect: the client has hung up; the picture has left the queue.
    """
    working = asyncio.ensure_future(answer)
    hanging_up = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({working, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        for task in (working, hanging_up):
            task.cancel()
        await asyncio.gather(working, hanging_up, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
