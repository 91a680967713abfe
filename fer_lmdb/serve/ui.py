"""Web page: Gradio components and two custom HTML elements.

Gradio's image component would write each upload to a folder and keep it. Here the browser sends the image as text in
an event, which goes straight to the queue, and the response contains no image.
"""

from __future__ import annotations

import base64
import binascii
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.ui_html import EMPTY, render, render_error
from fer_lmdb.serve.worker_pool import WorkerPool

HERE = Path(__file__).parent
# System fonts: Gradio's default fonts would be loaded from another host.
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO_FONTS = ["ui-monospace", "Consolas", "monospace"]

HEAD = """<div class="fer-head"><h1>Facial expression recognition</h1>
<p>Upload an image to get its faces with boxes and the probability of each expression.</p></div>"""

CAPTURE = """<div class="fer-drop" data-part="drop" data-bytes="{bytes}">
<div data-part="start"><p>Drop an image here or paste it</p></div>
<div class="fer-camera" data-part="camera" hidden><video data-part="video" autoplay playsinline muted></video>
<div class="fer-buttons"><button class="fer-first" data-do="shoot">Take a photo</button>
<button data-do="cancel">Close the camera</button></div></div>
<div class="fer-buttons"><button class="fer-first" data-do="choose">Choose an image</button>
<button data-do="camera">Camera</button><button data-do="example">Example</button></div>
<input type="file" accept="image/*" data-part="file" aria-label="Image" hidden>
<input type="file" accept="image/*" capture="user" data-part="snapshot" aria-label="Camera" hidden>
<small>Images are processed in memory and are never stored or logged. The example is NASA's portrait of
Eileen Collins.</small>
<p class="fer-note" data-part="status" role="status"></p></div>"""

NOTICE = """<div class="fer-notice"><h2>Limitations</h2><ul>
<li>The model predicts how an expression <b>appears to an observer</b>. An expression is not an inner state: feelings
cannot be inferred from a face.</li>
<li>It was trained on FER2013, a collection of posed and candid web images from 2013. Human annotators agree with its
labels in about two thirds of the cases. {accuracy}</li>
<li>The bars are class probabilities of the model, not the probability that the prediction is correct for this person.
Fear, sadness and neutral are confused most often. Accuracy for different demographic groups has not been
measured.</li>
<li>Do not use it for decisions about people. The European Union's <b>AI Act prohibits emotion recognition at work and
in education</b>.</li></ul>
<p class="fer-note">API: <code>curl -F file=@photo.jpg {url}/v1/predict</code> ·
<a href="docs">API documentation</a></p></div>"""


def mount_ui(app: FastAPI, settings: ServerSettings, pool: WorkerPool, url: str) -> FastAPI:
    """Mount the web page at the root of an application.

    Args:
        app: Application to mount the page on.
        settings: Limits.
        pool: Pool that runs the predictions.
        url: URL of the service, for the example on the page.
    """
    blocks = _build(settings, pool, url)
    # The worker pool is the queue. Gradio's own queue only transports events.
    blocks.queue(default_concurrency_limit=None, max_size=settings.connections, api_open=False)
    theme = gr.themes.Base(font=FONTS, font_mono=MONO_FONTS, primary_hue="blue", neutral_hue="slate")
    css = (HERE / "page.css").read_text(encoding="utf-8")
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme,
        css=css,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        pwa=False,
        footer_links=[],
        max_file_size=0,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def _build(settings: ServerSettings, pool: WorkerPool, url: str) -> gr.Blocks:
    names = [str(row["name"]) for row in pool.models]
    with gr.Blocks(title="fer-lmdb", analytics_enabled=False) as blocks:
        gr.HTML(HEAD)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                capture = gr.HTML(CAPTURE.replace("{bytes}", str(settings.max_bytes)), js_on_load=_script("capture.js"))
                model = gr.Dropdown(names, value=names[0], label="Model", interactive=True)
            with gr.Column(scale=3, min_width=300):
                result = gr.HTML(EMPTY, js_on_load=_script("result.js"))
        gr.HTML(NOTICE.format(accuracy=escape(_accuracy(pool.models[0])), url=escape(url)))
        capture.recognize(  # the event that capture.js triggers
            _handler(settings, pool), inputs=[model], outputs=[result], api_visibility="private", queue=True
        )
    return blocks


def _handler(settings: ServerSettings, pool: WorkerPool) -> Any:
    async def recognize(model: str, event: gr.EventData, request: gr.Request) -> str:
        data = event._data if isinstance(event._data, dict) else {}
        # Removed rather than read: Gradio keeps its record of an event for a while, and it must not hold the image.
        text = data.pop("image", None)
        data.clear()
        try:
            client = request.client.host if request.client else None
            image = _decode_data_url(text, settings.max_bytes)
            answer = await pool.predict(image, "image", pool.check_model(model), client)
        except ApiError as error:
            return render_error(error.message)
        return render(answer)

    return recognize


def _decode_data_url(text: Any, max_bytes: int) -> bytes:
    if not isinstance(text, str) or not text.startswith("data:"):
        raise ApiError("wrong_request", "the request contains no image; choose one again")
    try:
        data = base64.b64decode(text.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("wrong_request", "the image was damaged in transit; choose it again") from None
    if len(data) > max_bytes:
        raise ApiError("too_large", f"the image is larger than {max_bytes / 1e6:g} MB; reduce it and try again")
    return data


def _script(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _accuracy(model: dict[str, Any]) -> str:
    """Return the model's validation accuracy in one sentence."""
    evaluations = [each for each in model["figures"] if each.get("split") == "val"]
    if not evaluations:
        return f"The accuracy of {model['name']} has not been measured."
    first = evaluations[0]
    return f"Accuracy of {model['name']} on the validation split: {first['accuracy']:.1%} (N = {first['n']:,})."
