"""Conversations of a model, as it is served, with simulated seekers: roles of ours, played by a model or by rules."""
