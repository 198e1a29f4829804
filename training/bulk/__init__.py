"""Trains a small model from nothing on one large GPU within minutes; there it needs torch and numpy only."""
