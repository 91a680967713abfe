"""Inference on images, videos and cameras."""
