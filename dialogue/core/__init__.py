"""People, conversations, turns, the window and the outbox: what the product is about. Knows no process and no metrics."""
