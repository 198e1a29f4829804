"""Creates .venv with nothing but Python and pip. Imports only the standard library, nothing from the product."""
