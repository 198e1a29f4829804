"""Admins in the chat: the orders they write to the bot, and the reports it answers with."""
