"""The running service over HTTP: responses, limits, closed routes, privacy."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import subprocess
import sys

import pytest

from fer_lmdb.serve.http_errors import STATUS

httpx = pytest.importorskip("httpx", reason='requires the extra "web"')


def predict(service, data: bytes, **options):
    return httpx.post(f"{service.url}/v1/predict", content=data, timeout=60, **options)


def error_of(response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) <= {"code", "message", "retry_after"}
    assert STATUS[error["code"]] == response.status_code
    assert "Traceback" not in response.text
    assert "\n" not in error["message"]
    return response.status_code, error["code"]


def raw(service, request: bytes, seconds: float = 20) -> bytes:
    """Send raw bytes and return the complete response."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_response_equals_the_command_line_output(service, astronaut: bytes) -> None:
    from skimage import data

    from fer_lmdb import Recognizer
    from fer_lmdb.results import ImagePrediction

    faces = tuple(Recognizer(device="cpu").predict(data.astronaut()))
    printed = ImagePrediction("astronaut.png", 512, 512, faces).to_dict()
    answer = httpx.post(f"{service.url}/v1/predict", files={"file": ("astronaut.png", astronaut)}, timeout=60)
    assert answer.status_code == 200
    found, expected = answer.json(), json.loads(json.dumps(printed))
    faces, expected_faces = found.pop("faces"), expected.pop("faces")
    assert found == expected
    for face, expected_face in zip(faces, expected_faces, strict=True):
        # The number of threads changes the order of summation, so a gray value may be rounded differently.
        assert face.pop("probabilities") == pytest.approx(expected_face.pop("probabilities"), abs=1e-3)
        assert face.pop("score") == pytest.approx(expected_face.pop("score"), abs=1e-4)
        assert face == expected_face


def test_image_as_request_body(service, astronaut: bytes) -> None:
    answers = [predict(service, astronaut, headers=head) for head in ({}, {"Content-Type": "image/png"})]
    form = httpx.post(f"{service.url}/v1/predict", files={"file": ("../../x\n.png", astronaut)}, timeout=60)
    for answer in answers:
        assert answer.json()["path"] == "picture"
        assert answer.json()["faces"] == form.json()["faces"] != []
    assert "/" not in form.json()["path"]


def test_models_and_health(service, astronaut: bytes) -> None:
    models = httpx.get(f"{service.url}/v1/models").json()
    (default,) = (row for row in models["models"] if row["name"] == models["default"])
    assert len(default["classes"]) == 7
    assert {"val"} <= {figures["split"] for figures in default["figures"]}
    assert "/" not in json.dumps(models), "paths of the machine are private"
    health = httpx.get(f"{service.url}/healthz")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert predict(service, astronaut, params={"model": models["default"]}).status_code == 200


def test_several_files_and_base64(service, astronaut: bytes) -> None:
    post = f"{service.url}/v1/predict"
    single = predict(service, astronaut).json()
    files = [("file", ("a.png", astronaut)), ("file", ("b.png", b"not an image")), ("file", ("c.png", astronaut))]
    answer = httpx.post(post, files=files, timeout=60)
    assert answer.status_code == 200
    first, second, third = answer.json()["images"]
    assert (first["path"], first["faces"], first["error"]) == ("a.png", single["faces"], None)
    assert third == first | {"path": "c.png"}
    assert (second["path"], second["width"], second["faces"]) == ("b.png", 0, [])
    assert second["error"].startswith("b.png: not a supported image")
    text = base64.b64encode(astronaut).decode()
    assert httpx.post(post, json={"image": text}, timeout=60).json() == single
    listed = httpx.post(post, json={"images": [f"data:image/png;base64,{text}"]}, timeout=60).json()["images"]
    assert listed == [single | {"path": "image-1"}]


def test_error_codes_of_invalid_requests(service, astronaut: bytes) -> None:
    post = f"{service.url}/v1/predict"
    assert error_of(predict(service, b"")) == (422, "damaged_picture")
    assert error_of(predict(service, b"not an image")) == (415, "not_a_picture")
    assert error_of(httpx.post(post, json={"image": "photo.jpg"})) == (422, "wrong_request")
    assert error_of(httpx.post(post, json={"images": []})) == (422, "wrong_request")
    assert error_of(httpx.post(post, json={"image": "aGVsbG8="})) == (415, "not_a_picture")
    assert error_of(predict(service, astronaut[:5000])) == (422, "damaged_picture")
    assert error_of(predict(service, astronaut, params={"model": "../../etc/passwd"})) == (422, "unknown_model")
    assert error_of(predict(service, astronaut, params={"model": "x" * 500})) == (422, "wrong_request")
    assert error_of(httpx.post(post, files={"image": astronaut})) == (422, "wrong_request")
    assert error_of(httpx.post(post, data={"file": "text"}, files={"other": b"x"})) == (422, "wrong_request")
    head = {"Content-Type": "multipart/form-data"}
    assert error_of(predict(service, b"x", headers=head)) == (422, "wrong_request")
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    assert error_of(predict(service, b"--b\r\nnonsense", headers=head)) == (422, "wrong_request")
    assert error_of(httpx.get(post)) == (405, "method_not_allowed")
    assert error_of(httpx.get(f"{service.url}/v1/nothing")) == (404, "not_found")


def test_too_many_bytes_or_pixels(service, png_with_size) -> None:
    assert error_of(predict(service, png_with_size(30_000, 30_000))) == (413, "too_large")
    assert error_of(predict(service, bytes(1_000_001))) == (413, "too_large")
    assert error_of(predict(service, iter([bytes(600_000)] * 3))) == (413, "too_large")
    form = {"file": ("p.png", bytes(1_000_001))}
    assert error_of(httpx.post(f"{service.url}/v1/predict", files=form, timeout=60)) == (413, "too_large")


def test_declared_length_is_rejected_before_the_body(service) -> None:
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = raw(service, head)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_security_headers_of_every_response(service) -> None:
    for path in ("/", "/healthz", "/docs", "/nothing"):
        headers = httpx.get(service.url + path).headers
        assert "connect-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_foreign_host_names_are_rejected(service, host: str) -> None:
    assert error_of(httpx.get(f"{service.url}/healthz", headers={"Host": host})) == (421, "unknown_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:80", "192.168.1.7:8000"])
def test_ip_addresses_and_localhost_are_allowed(service, host: str) -> None:
    assert httpx.get(f"{service.url}/healthz", headers={"Host": host}).status_code == 200


def test_cross_origin_requests_are_rejected(service, astronaut: bytes) -> None:
    foreign = [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
    for headers in foreign:
        assert error_of(predict(service, astronaut, headers=headers)) == (403, "forbidden_origin")
    assert predict(service, astronaut, headers={"Origin": service.url}).status_code == 200
    options = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{service.url}/v1/predict", headers=options).status_code == 403


@pytest.mark.parametrize(
    "route",
    [
        "POST /gradio_api/upload",
        "GET /gradio_api/file=/etc/passwd",
        "GET /gradio_api/file/etc/passwd",
        "GET /file=/etc/passwd",
        "GET /gradio_api/proxy=http://192.0.2.1/x",
        "POST /gradio_api/run/recognize",
        "POST /gradio_api/call/recognize",
        "POST /gradio_api/component_server",
        "POST /gradio_api/process_recording",
        "POST /gradio_api/vibe-edit",
        "GET /gradio_api/vibe-code",
        "GET /gradio_api/runs",
        "GET /monitoring",
        "GET /gradio_api/token",
        "GET /gradio_api/openapi.json",
        "POST /login",
        "GET /gradio_api/deep_link",
        "GET /assets/..%2f..%2f..%2f..%2fetc/passwd",
        "GET /static/..%2f..%2froutes.py",
        "GET //etc/passwd",
    ],
)
def test_unused_gradio_routes_are_closed(service, route: str) -> None:
    method, path = route.split(" ")
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=20)
    connection.request(method, path, body=b"{}" if method == "POST" else None)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in {404, 405, 403, 400}
    assert b"root:" not in body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], "session_hash": "s"}',
        b'{"data": [{"url": "http://192.0.2.1/x", "meta": {"_type": "gradio.FileData"}}], "session_hash": "s"}',
        b'{"data": ["m"], "session_hash": null}',
    ],
)
def test_event_route_accepts_only_events_of_the_page(service, body: bytes) -> None:
    assert error_of(httpx.post(f"{service.url}/gradio_api/queue/join", content=body)) == (422, "wrong_request")


def test_api_documentation_loads_nothing_from_other_hosts(service) -> None:
    page = httpx.get(f"{service.url}/docs").text
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert linked
    for address in linked:
        assert address.startswith("/")
        assert httpx.get(service.url + address).status_code == 200
    described = httpx.get(f"{service.url}/openapi.json").json()
    assert {"/v1/predict", "/v1/models", "/healthz"} == set(described["paths"])
    answers = described["paths"]["/v1/predict"]["post"]["responses"]
    assert {"200", "413", "415", "422", "429", "503"} <= set(answers)


def test_images_are_neither_stored_nor_logged(service, astronaut: bytes) -> None:
    name = "very-private-name.png"
    for _ in range(2):
        httpx.post(
            f"{service.url}/v1/predict", files={"file": (name, astronaut)}, params={"model": "secret"}, timeout=60
        )
        httpx.post(f"{service.url}/v1/predict", files={"file": (name, astronaut)}, timeout=60)
    assert service.stored() == []
    assert "POST /v1/predict 200" in service.log
    for word in (name, "secret", "127.0.0.1", "Traceback"):
        assert word not in service.log


def test_port_in_use_is_reported_in_one_line(service) -> None:
    port = service.url.rpartition(":")[2]
    command = [sys.executable, "-m", "fer_lmdb", "serve", "--port", port, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
