"""The web service: a page (Gradio) and an HTTP API (FastAPI) on one port.

    socket ─▶ connections ─▶ guard ─▶ api / page ─▶ body ─▶ pool ─▶ worker (a process of its own) ─▶ Recognizer

The process that listens never decodes a picture; whatever a picture does, it does to a worker, which is replaced.
"""
