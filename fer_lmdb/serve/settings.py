"""What the service may use: every limit in one place."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PORT = 8000


@dataclass(frozen=True)
class ServerSettings:
    """The limits of a service.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        models: shipped models, model files or run folders, the first is the default; empty for the shipped ones.
        detector: another detector than the models' own.
        device: "auto", "cpu", "cuda", ...
        workers: processes that recognise, each with its own copy of the models.
        queue: pictures that may wait for a worker; one more is answered with 503.
        per_client: pictures of one address that may be in work or waiting, beyond it 429; loopback is exempt, since
            behind a proxy everybody comes from there.
        max_bytes: largest picture file, in bytes.
        max_pixels: largest picture, width x height.
        upload_seconds: time a client has to send a request's body.
        wait_seconds: longest time in the queue.
        work_seconds: longest time a worker may spend on one picture before it is ended and replaced.
        header_seconds: time a client has to send a request's head.
        held_bytes: bodies of all requests together that are held in memory.
        connections: open connections; one more is answered with 503 at once.
        allowed_hosts: names besides localhost and plain addresses under which the service is reached.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    models: tuple[str, ...] = ()
    detector: str | None = None
    device: str = "auto"
    workers: int = 1
    queue: int = 16
    per_client: int = 4
    max_bytes: int = 10_000_000
    max_pixels: int = 25_000_000
    upload_seconds: float = 20.0
    wait_seconds: float = 30.0
    work_seconds: float = 20.0
    header_seconds: float = 10.0
    held_bytes: int = 256_000_000
    connections: int = 512
    allowed_hosts: tuple[str, ...] = ()
