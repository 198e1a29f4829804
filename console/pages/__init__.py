"""One module per part of the console: its pages and its form handlers."""
