"""Owns the model: claims waiting turns, generates replies, writes them back. Knows no chat platform."""
