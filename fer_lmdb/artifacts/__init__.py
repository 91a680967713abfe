"""Schemas of the stored artifacts as pydantic models, one module each: format version, required fields, types, ranges.

Readers import these modules inside functions only, so that neither shell completion nor `predict` with a pretrained
model imports pydantic. Fields that a schema does not name are kept.
"""
