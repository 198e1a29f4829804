"""A case is something a human must attend to: opened by an alarm, seen, taken, handed over, closed with an outcome.

While nobody attends to it, one after another on the escalation list is called.
"""
