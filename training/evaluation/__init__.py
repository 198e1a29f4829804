"""How good is a model, as it is served? Losses, similarity to people's replies, habits, comparisons, a report."""
