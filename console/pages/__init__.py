"""One module for each part of the console: its pages, and what its forms do."""
