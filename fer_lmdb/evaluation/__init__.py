"""Metrics, significance tests and contamination checks of models on a split."""
