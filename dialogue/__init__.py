"""The domain: people, conversations, turns, window, outbox. The only place that commits."""
