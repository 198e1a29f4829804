"""Makes the collection of replies that the bundled model chooses from."""
