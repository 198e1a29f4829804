"""Incoming messages: everything that happens to one message, in one transaction, in a readable order."""
