"""HTTP API: /v1/predict, /v1/models, /healthz and the API documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
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
from fer_lmdb.serve.request_images import MAX_IMAGES, Upload
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
    """One image, as in the output of `fer-lmdb predict --json`."""

    path: str
    width: int
    height: int
    faces: list[FaceDocument]
    error: str | None


class ImagesDocument(BaseModel):
    """Several images of one request; an image that cannot be used has an `error`."""

    images: list[ImageDocument]


class ErrorDetail(BaseModel):
    """Error code for programs and message for people."""

    code: str
    message: str
    retry_after: int | None = None


class ErrorDocument(BaseModel):
    """Body of an error response."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    408: {"model": ErrorDocument, "description": "The upload took too long."},
    413: {"model": ErrorDocument, "description": "Too many bytes or pixels."},
    415: {"model": ErrorDocument, "description": "Not an image in a supported format."},
    422: {"model": ErrorDocument, "description": "Damaged image, unknown model or invalid field."},
    429: {"model": ErrorDocument, "description": "Too many images from one address; see Retry-After."},
    503: {"model": ErrorDocument, "description": "Queue full or time limit exceeded; see Retry-After."},
}
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "description": "base64, with or without data:image/...;base64,"},
                        "images": {"type": "array", "maxItems": MAX_IMAGES, "items": {"type": "string"}},
                    },
                }
            },
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
NOTICE = (
    "Detects faces and predicts how their expressions appear to an observer. An expression is not an inner state. "
    "No image is stored. The European Union's AI Act prohibits emotion recognition at work and in education."
)
HTTP_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
IMAGE_CODES = {"not_a_picture", "damaged_picture", "too_large"}
"""Errors of one image of a list, which do not end the others."""
CLOSING_CODES = {"too_large", "upload_too_slow", "queue_full", "too_many_requests", "unknown_model"}
"""Errors after which the request body may be partly unread, so the connection cannot be reused."""


def build_api(settings: ServerSettings, pool: WorkerPool, uploads: UploadReader) -> FastAPI:
    """Return the application with the routes of the API.

    Args:
        settings: Limits.
        pool: Pool that runs the predictions; opened and closed by the caller.
        uploads: Reader for request bodies.
    """
    app = FastAPIOffline(title="fer-lmdb", version=__version__, description=NOTICE, redoc_url=None, debug=False)
    _add_error_handlers(app)
    _add_predict(app, pool, uploads)
    _add_status(app, settings, pool)
    return app


def _add_predict(app: FastAPI, pool: WorkerPool, uploads: UploadReader) -> None:
    @app.post(
        "/v1/predict",
        response_model=ImageDocument | ImagesDocument,
        responses=ERRORS,
        openapi_extra=IMAGE_BODY,
        summary="Detect the faces of an image and predict their expressions",
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(max_length=200, description="A name from /v1/models.")] = None,
    ) -> Any:
        """Send the image as the multipart field `file`, as the request body, or as base64 in JSON.

        The output is that of `predict --json`. Several fields `file`, or the JSON field `images`, give a list in
        `images`.
        """
        client = request.client.host if request.client else None
        try:
            name = pool.check_model(model)
            pool.check_capacity(client)
        except ApiError:
            await discard(request)
            raise
        async with uploads.read_images(request) as found:
            if found.is_list:
                return await _while_connected(request, _predict_all(pool, found.images, name, client))
            (image,) = found.images
            answer = await _while_connected(request, pool.predict(image.data, image.name, name, client))
        return {"path": image.name, **answer, "error": None}


async def _predict_all(
    pool: WorkerPool, images: Sequence[Upload], model: str, client: str | None
) -> dict[str, list[dict[str, Any]]]:
    """Predict one image after the other, so that a request has one place in the queue."""
    documents = []
    for image in images:
        document = {"path": image.name, "width": 0, "height": 0, "faces": [], "error": None}
        try:
            document |= await pool.predict(image.data, image.name, model, client)
        except ApiError as error:
            if error.code not in IMAGE_CODES:
                raise
            document["error"] = error.message
        documents.append(document)
    return {"images": documents}


def _add_status(app: FastAPI, settings: ServerSettings, pool: WorkerPool) -> None:
    @app.get("/v1/models", summary="List the models, the default first")
    async def models() -> dict[str, Any]:
        return {"default": pool.default_model, "models": pool.models}

    @app.get("/healthz", summary="Report whether the service accepts images", responses={503: ERRORS[503]})
    async def healthz() -> dict[str, Any]:
        if not pool.ready:
            raise ApiError("not_ready", "no worker is ready; one is starting", retry_after=5)
        queue = {"waiting": pool.waiting, "places": settings.queue}
        limits = {"bytes": settings.max_bytes, "pixels": settings.max_pixels, "seconds": settings.work_seconds}
        return {"status": "ok", "version": __version__, "queue": queue, "limits": limits}


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> Response:
        return _error_response(error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        return _error_response(ApiError("wrong_request", f"{location}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = HTTP_CODES.get(error.status_code, "bad_request")
        message = f"{request.method} {request.url.path[:80]}: {error.detail}; see /docs for the available addresses"
        response = _error_response(ApiError(code, message))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ClientDisconnect)
    async def disconnected(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # not sent; keeps the log free of errors


def _error_response(error: ApiError) -> JSONResponse:
    headers = dict(error.headers)
    if error.code in CLOSING_CODES:
        headers["Connection"] = "close"
    return JSONResponse(error.to_dict(), error.status, headers)


async def _while_connected(request: Request, answer: Coroutine[Any, Any, Any]) -> Any:
    """Await an answer until the client disconnects.

    Raises:
        ClientDisconnect: If the client has disconnected; its image is removed from the queue.
    """
    working = asyncio.ensure_future(answer)
    disconnecting = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({working, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        for task in (working, disconnecting):
            task.cancel()
        await asyncio.gather(working, disconnecting, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
