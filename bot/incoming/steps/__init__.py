"""The steps that decide what happens to one message; their order is in `bot.incoming.decisions`."""
