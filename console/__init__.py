"""The web console for staff: plain HTML over `dialogue`. It knows no platform and no model."""
