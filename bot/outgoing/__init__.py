"""The way out: what is owed to people, claimed, split, sent and marked."""
