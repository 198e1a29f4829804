"""Replies written beforehand, with which the bundled model answers: cues find the kind of message, and they quote."""
