"""Maintenance: the sweep for lost messages, retention, key rotation."""
