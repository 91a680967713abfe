"""Annotated images, contact sheets, plots, colors and windows."""
