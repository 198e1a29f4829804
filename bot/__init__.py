"""Listens to people and speaks to people. Knows no model."""
