"""The web console: what staff see and do in a browser. Plain HTML over the domain; it knows no platform, no model."""
