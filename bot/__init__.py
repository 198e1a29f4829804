"""Receives people's messages and delivers replies. Knows no model."""
