"""Copies of the database in files: written while everything runs, restored into an empty database of either kind.

Texts stay sealed. People's wrapped data keys stand in a file of their own, which each backup replaces: whoever was
erased since is gone from it, and with it from every older backup.
"""
