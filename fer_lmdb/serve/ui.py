"""The page: Gradio's components around two small pieces of HTML of our own.

Gradio's own picture component would write every upload into a folder, where it stays. Here the picture travels as
text of the event, straight into the queue, and what comes back holds no picture.
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
# Fonts of the visitor's system: Gradio's own would be fetched from elsewhere.
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO_FONTS = ["ui-monospace", "Consolas", "monospace"]

HEAD = """<div class="fer-head"><h1>Expressions in faces</h1>
<p>A picture goes in; faces, boxes and the probability of each expression come out.</p></div>"""

CAPTURE = """<div class="fer-drop" data-part="drop" data-bytes="{bytes}">
<div data-part="start"><p>Drop a picture here or paste it</p></div>
<div class="fer-camera" data-part="camera" hidden><video data-part="video" autoplay playsinline muted></video>
<div class="fer-buttons"><button class="fer-first" data-do="shoot">Take the picture</button>
<button data-do="cancel">Close the camera</button></div></div>
<div class="fer-buttons"><button class="fer-first" data-do="choose">Choose a picture</button>
<button data-do="camera">Camera</button><button data-do="example">Example</button></div>
<input type="file" accept="image/*" data-part="file" aria-label="Picture" hidden>
<input type="file" accept="image/*" capture="user" data-part="snapshot" aria-label="Camera" hidden>
<small>Held in memory while it is looked at; never stored, never logged. The example is NASA's portrait of
Eileen Collins.</small>
<p class="fer-note" data-part="status" role="status"></p></div>"""

NOTICE = """<div class="fer-notice"><h2>What this shows, and what it does not</h2><ul>
<li>It tells how a face <b>looks to an observer</b>. An expression is not an inner state: what somebody feels cannot
be read from a face.</li>
<li>It learnt from FER2013: posed and found web pictures of 2013, whose labels people themselves agree with in about
two thirds of the cases. {accuracy}</li>
<li>The bars say how the model divides its trust among the classes, not how likely it is to be right about this
person. Fear, sadness and neutral are confused most. How well it works for different groups of people has not been
measured.</li>
<li>Do not use it to decide about people. The European Union's <b>AI Act forbids emotion recognition at work and in
education</b>.</li></ul>
<p class="fer-note">For programs: <code>curl -F file=@photo.jpg {address}/v1/predict</code> ·
<a href="docs">API documentation</a></p></div>"""


def mount_ui(app: FastAPI, settings: ServerSettings, pool: WorkerPool, address: str) -> FastAPI:
    """Put the page onto the application's root.

    Args:
        app: the API.
        settings: limits.
        pool: where pictures are recognised.
        address: the service's own, for the example that the page shows.
    """
    blocks = _build(settings, pool, address)
    # Our own pool is the queue, with its bounds and its answers; Gradio's only carries events.
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


def _build(settings: ServerSettings, pool: WorkerPool, address: str) -> gr.Blocks:
    names = [str(row["name"]) for row in pool.models]
    with gr.Blocks(title="fer-lmdb", analytics_enabled=False) as blocks:
        gr.HTML(HEAD)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                capture = gr.HTML(CAPTURE.replace("{bytes}", str(settings.max_bytes)), js_on_load=_script("capture.js"))
                model = gr.Dropdown(names, value=names[0], label="Model", interactive=True)
            with gr.Column(scale=3, min_width=300):
                result = gr.HTML(EMPTY, js_on_load=_script("result.js"))
        gr.HTML(NOTICE.format(accuracy=escape(_accuracy(pool.models[0])), address=escape(address)))
        capture.recognise(  # the event of that name which capture.js triggers
            _handler(settings, pool), inputs=[model], outputs=[result], api_visibility="private", queue=True
        )
    return blocks


def _handler(settings: ServerSettings, pool: WorkerPool) -> Any:
    async def recognise(model: str, event: gr.EventData, request: gr.Request) -> str:
        data = event._data if isinstance(event._data, dict) else {}
        # Taken out, not read: Gradio keeps its record of an event for a while, and that shall hold no picture.
        text = data.pop("picture", None)
        data.clear()
        try:
            client = request.client.host if request.client else None
            answer = await pool.predict(_decoded(text, settings.max_bytes), "picture", pool.check_model(model), client)
        except ApiError as refusal:
            return render_error(refusal.message)
        return render(answer)

    return recognise


def _decoded(text: Any, most: int) -> bytes:
    """Return the bytes of a data URL."""
    if not isinstance(text, str) or not text.startswith("data:"):
        raise ApiError("wrong_request", "found no picture in the request; choose one again")
    try:
        data = base64.b64decode(text.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("wrong_request", "the picture arrived damaged; choose it again") from None
    if len(data) > most:
        raise ApiError("too_large", f"the picture has more than {most / 1e6:g} MB; reduce it first")
    return data


def _script(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _accuracy(model: dict[str, Any]) -> str:
    """Say in one sentence what was measured, and on what."""
    figures = [one for one in model["figures"] if one.get("split") == "val"]
    if not figures:
        return f"{model['name']} has not been measured."
    best = figures[0]
    return f"{model['name']} names {best['accuracy']:.1%} of its {best['n']:,} validation faces as their label does."
