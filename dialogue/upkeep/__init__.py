"""What is done on time without being asked: the sweep, retention, key rotation."""
