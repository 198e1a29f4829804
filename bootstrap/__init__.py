"""Makes .venv from nothing but Python and pip. Standard library only, and nothing of the product's."""
