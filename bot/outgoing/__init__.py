"""Outgoing texts: claimed from the outbox, split, sent and marked."""
