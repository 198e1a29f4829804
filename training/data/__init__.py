"""Dialogues on their way from other people's files to the rows that a model is trained on."""
