"""Web service: a Gradio page and a FastAPI HTTP API on one port.

    socket -> connection_limits -> security -> routes -> api | ui -> uploads -> worker_pool -> worker (own process)

The listening process never decodes an image. Decoding and inference run in worker processes, which are replaced after
a crash or a timeout.
"""
