"""Replies chosen from a published collection, for a model that comes with one (retrieval for dialogue)."""

COLLECTION = "retrieval"
"""The folder in a model's directory."""
