"""What must never go wrong, as pure functions and data: no network, no database, no model."""
