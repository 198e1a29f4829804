"""The terminal as a channel: one person in one window, with nothing between us and them."""

CHANNEL = "console"
