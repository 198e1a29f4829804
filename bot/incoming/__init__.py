"""The way in: what happens to one message of a person, in one transaction, in a readable order."""
