"""Telegram. Nothing of its types leaves this package: in go updates, out come messages of the dialogue, and back."""

CHANNEL = "telegram"
