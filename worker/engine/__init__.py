"""Engines turn a window and a person's words into a reply; one port, several makes."""
