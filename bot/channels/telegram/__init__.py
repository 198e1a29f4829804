"""Telegram. Its types never leave this package: updates become our messages, deliveries become API calls."""

CHANNEL = "telegram"
