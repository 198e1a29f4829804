"""A small chat bot as peers are built: python-telegram-bot, an OpenAI-compatible server, everything in memory."""

import os
from typing import Any

import aiohttp
from telegram import Update
from telegram.ext import ApplicationBuilder, ContextTypes, MessageHandler, filters

SEES_TWICE = os.environ.get("ANSWERS_TWICE") == "true"


async def answer(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.message is not None
    body = {"model": "any", "messages": [{"role": "user", "content": update.message.text}]}
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        said = await response.json()
    for _ in range(2 if SEES_TWICE else 1):
        await update.message.reply_text(said["choices"][0]["message"]["content"])


def main() -> None:
    made: Any = ApplicationBuilder().token(os.environ["TELEGRAM_BOT_TOKEN"]).concurrent_updates(True).build()
    made.add_handler(MessageHandler(filters.TEXT, answer))
    made.run_polling()


if __name__ == "__main__":
    main()
