"""The admins' room: what those who watch over conversations may see and do. Each use case takes the session first and
writes what was done, by whom and why, in the same transaction; what is to be signalled afterwards it returns.
"""
