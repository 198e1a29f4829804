"""People, conversations, turns, the outbox: what the product is about. Knows no process and no metrics."""
