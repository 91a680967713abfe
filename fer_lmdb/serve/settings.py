"""Settings and limits of the web service."""

from __future__ import annotations

from dataclasses import dataclass

from fer_lmdb import ranges
from fer_lmdb.runtime.device import check_device_name

DEFAULT_PORT = 8000


@dataclass(frozen=True)
class ServerSettings:
    """Address, models and limits of the service.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 selects a free port.
        models: Pretrained models, model files or run folders; the first is the default. Empty for all pretrained
            models.
        detector: Face detector; None for each model's own.
        detector_threshold: Minimum detection score; None for the default of the detector.
        device: "auto", "cpu", "cuda", ...
        workers: Number of worker processes. Each loads its own copy of the models.
        queue: Maximum number of images waiting for a worker; beyond it, requests get 503.
        per_client: Maximum number of images of one address, queued or in progress; beyond it, requests get 429.
            Loopback is exempt, because all clients behind a proxy share that address.
        max_bytes: Maximum size of an image file in bytes.
        max_pixels: Maximum width x height of an image.
        upload_seconds: Time limit for a request body.
        wait_seconds: Time limit in the queue.
        work_seconds: Time limit for one image in a worker; beyond it, the worker is killed and replaced.
        header_seconds: Time limit for a request header.
        held_bytes: Maximum size of the bodies of all requests in memory.
        connections: Maximum number of open connections; beyond it, connections get 503.
        allowed_hosts: Host names accepted in addition to localhost, this machine's name and plain IP addresses.

    Raises:
        OptionError: If a limit is out of its range.
        DeviceError: If no device can have this name.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    models: tuple[str, ...] = ()
    detector: str | None = None
    detector_threshold: float | None = None
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

    def __post_init__(self) -> None:
        for name, accepted in RANGES.items():
            accepted.check(name, getattr(self, name))
        check_device_name(self.device)


RANGES = {
    "port": ranges.PORT,
    "workers": ranges.PROCESSES,
    "queue": ranges.QUEUE,
    "per_client": ranges.PER_CLIENT,
    "max_bytes": ranges.COUNT,
    "max_pixels": ranges.COUNT,
    "upload_seconds": ranges.POSITIVE,
    "wait_seconds": ranges.POSITIVE,
    "work_seconds": ranges.POSITIVE,
    "header_seconds": ranges.POSITIVE,
    "held_bytes": ranges.Range(1, ranges.MAX_INT64, integer=True),
    "connections": ranges.COUNT,
}
