"""Summaries, drawings and documentation of nets."""
