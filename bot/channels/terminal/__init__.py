"""The terminal as a channel: one person in one window, no platform in between."""

CHANNEL = "console"
