"""Copies of the database in files: written while everything runs, restored into an empty database of either kind.

Texts stay sealed. People's wrapped data keys are in a separate file that every backup replaces, so erasing a person
also makes their texts in all older backups unreadable.
"""
