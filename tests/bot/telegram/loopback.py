"""A Bot API server on the loopback, with the semantics that an adapter can trip over.

Updates stay until a higher offset (or a webhook's 200) confirms them; a second poll ends the first with 409; flood
control, blocked people, length and "not modified" are refused as Telegram refuses them; drafts live for 30 seconds.
Faults can be ordered: a 500, a dropped request, a request that is served but whose answer is lost.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tests.bot.telegram.flood import Flood
from tests.bot.telegram.http import Answer, Dropped, post, serve
from tests.bot.telegram.uploads import Uploads
from tests.bot.telegram.wire import (
    BOT,
    Fault,
    Refusal,
    Sent,
    buttons_of,
    chat_of,
    check_buttons,
    check_text,
    refused,
    shown_as,
)
from tests.services.listening import ListeningServer

T = TypeVar("T")

TOKEN = "4242:loopback-token-that-no-log-may-show"

_DRAFT_SECONDS = 30.0
_LARGEST_DOWNLOAD = 20_000_000
_COUNTED = {"sendMessage", "editMessageText"}


class Telegram:
    """Runs in a thread of its own; everything public may be called from the test's thread."""

    def __init__(self, *, flood: Flood | None = None) -> None:
        self.flood = flood or Flood()
        self.sent: dict[int, list[Sent]] = defaultdict(list)
        self.drafts: dict[int, list[str]] = defaultdict(list)
        self.shown_drafts: dict[int, tuple[str, float]] = {}
        self.actions: dict[int, list[float]] = defaultdict(list)
        self.calls: list[tuple[str, float]] = []
        self.commands: dict[str, list[str]] = {}
        self.thanked: list[str] = []
        self.toasts: dict[str, str] = {}
        self.moved: dict[int, int] = {}
        self.menus: dict[int, str] = {}
        self.copies: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.files: dict[str, bytes] = {}
        self.gone_topics: set[int] = set()
        self.rang: list[int] = []
        self.no_draft_chats: set[int] = set()
        self.written: list[str] = []
        self.blocked: set[int] = set()
        self.drafts_are_known = True
        self.token = TOKEN
        self.delay_seconds = 0.0  # of each answer: a slow network
        self.on_call: Callable[[str, dict[str, Any]], None] = lambda _method, _fields: None
        self.on_fetched: Callable[[list[int]], None] = lambda _update_ids: None
        self.on_sent: Callable[[int, Sent], None] = lambda _chat_id, _sent: None
        self.webhook: dict[str, Any] = {}
        self.webhook_answers: list[int] = []
        self.api_url = ""
        self._faults: list[Fault] = []
        self._updates: list[dict[str, Any]] = []
        self._last_update: dict[str, Any] = {}
        self._poll: asyncio.Future[None] | None = None
        self._next_update_id = 700_000
        self._next_message_id = 100
        self._has_updates = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self.uploads = Uploads(self._loop)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: ListeningServer | None = None

    # --- for tests

    def start(self) -> "Telegram":
        self._thread.start()
        self._server = self.run(serve(self._serve, read_body=self.uploads.read))
        self.api_url = f"http://127.0.0.1:{self._server.port}/bot"
        return self

    def stop(self) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fault(self, method: str, kind: int | str, *, count: int = 1, retry_after: int = 1) -> None:
        self._faults.append(Fault(method, kind, count, retry_after))

    def hold_uploads(self) -> None:
        """Large requests of connections made from now on stay half read until `uploads.release`."""
        assert self._server is not None
        self.uploads.hold(self._server)

    def forgive(self) -> None:
        """No fault that was ordered happens any more."""
        self._faults = []

    def write(self, user_id: int, text: str, **fields: Any) -> int:
        """Somebody writes in their private chat; returns the message's id."""
        return self.message(user_id, {"id": user_id, "type": "private", "first_name": "人"}, text=text, **fields)

    def message(self, user_id: int, chat: dict[str, Any], *, is_bot: bool = False, **fields: Any) -> int:
        self._next_message_id += 1
        message_id = self._next_message_id  # the bot's own messages take the next ones meanwhile
        self.written.append(fields.get("text", ""))
        message = {
            "message_id": message_id,
            "from": {"id": user_id, "is_bot": is_bot, "first_name": "人"},
            "chat": chat,
            "date": int(time.time()),
            **fields,
        }
        self.push(message=message)
        return message_id

    def edit(self, user_id: int, message_id: int, text: str) -> None:
        chat = {"id": user_id, "type": "private", "first_name": "人"}
        sender = {"id": user_id, "is_bot": False, "first_name": "人"}
        now = int(time.time())
        message = {"message_id": message_id, "from": sender, "chat": chat, "date": now, "edit_date": now, "text": text}
        self.written.append(text)
        self.push(edited_message=message)

    def press(
        self, user_id: int, sent: Sent, button: int, *, chat: dict[str, Any] | None = None, data: str | None = None
    ) -> str:
        """Somebody presses a button; returns the id by which it is answered."""
        callback_id = f"callback-{self._next_update_id}"
        self.push(
            callback_query={
                "id": callback_id,
                "from": {"id": user_id, "is_bot": False, "first_name": "人"},
                "chat_instance": "1",
                "data": data or sent.buttons[button],
                "message": {
                    "message_id": sent.message_id,
                    "chat": chat or {"id": user_id, "type": "private"},
                    "date": 1,
                },
            }
        )
        return callback_id

    def push(self, **content: Any) -> int:
        """An update of any kind."""
        return self.run(self.push_here(**content))

    def repeat(self, update: dict[str, Any]) -> None:
        """The same update once more, as Telegram does when it is not sure."""
        self._loop.call_soon_threadsafe(self._add, update)

    @property
    def pending(self) -> list[dict[str, Any]]:
        return list(self._updates)

    @property
    def last_update(self) -> dict[str, Any]:
        """The newest one, confirmed or not."""
        return self._last_update

    def texts(self, chat_id: int) -> list[str]:
        """What the person sees of the bot's messages."""
        return [sent.text for sent in self.sent[chat_id]]

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    def run(self, work: Coroutine[Any, Any, T], seconds: float | None = 10) -> T:
        """On the server's own event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    # --- the server

    async def push_here(self, **content: Any) -> int:
        """The same for what already runs on the server's loop."""
        update = {"update_id": self._next_update_id, **content}
        self._next_update_id += 1
        self._add(update)
        return int(update["update_id"])

    def _add(self, update: dict[str, Any]) -> None:
        self._updates.append(update)
        self._last_update = update
        self._has_updates.set()

    def _file(self, name: str) -> Answer:
        self.calls.append(("file", time.monotonic()))
        content = self.files.get(name)
        return Answer(404, b"") if content is None else Answer(200, content, "application/octet-stream")

    async def _serve(self, path: str, fields: dict[str, Any]) -> Answer:
        if path.startswith("/file/"):
            return self._file(path.removeprefix(f"/file/bot{self.token}/photos/"))
        token, _, method = path.removeprefix("/bot").partition("/")
        if token != self.token:
            return refused(401, "Unauthorized")
        self.calls.append((method, time.monotonic()))
        await asyncio.sleep(self.delay_seconds)
        self.on_call(method, fields)
        fault = self._next_fault(method)
        if fault is not None and fault.kind == "drop":
            raise Dropped
        if fault is not None and isinstance(fault.kind, int):
            parameters = {"retry_after": fault.retry_after} if fault.kind == 429 else None
            return refused(fault.kind, "Fault", parameters)
        answer = await self._answer(method, fields)
        if fault is not None and fault.kind == "hold":
            await asyncio.sleep(3600)
        if fault is not None:
            raise Dropped
        return answer

    async def _answer(self, method: str, fields: dict[str, Any]) -> Answer:
        serve_method: Callable[[dict[str, Any]], Awaitable[Any]] | None = getattr(self, f"_do_{method}", None)
        if serve_method is None or (method == "sendMessageDraft" and not self.drafts_are_known):
            return refused(404, "Not Found")
        try:
            self._check_place(fields)
            if method in _COUNTED:
                self._count(int(fields["chat_id"]))
            result = await serve_method(fields)
        except Refusal as refusal:
            return refused(refusal.status, refusal.description, refusal.parameters)
        return Answer(200, json.dumps({"ok": True, "result": result}).encode())

    def _check_place(self, fields: dict[str, Any]) -> None:
        named = (int(fields.get(name, 0)) for name in ("chat_id", "from_chat_id"))
        moved = next((self.moved[chat] for chat in named if chat in self.moved), None)
        if moved is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, {"migrate_to_chat_id": moved})
        if int(fields.get("message_thread_id", 0)) in self.gone_topics:
            raise Refusal(400, "Bad Request: message thread not found")

    def _next_fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method == method and fault.count > 0:
                fault.count -= 1
                return fault
        return None

    def _count(self, chat_id: int) -> None:
        retry_after = self.flood.check(chat_id, time.monotonic())
        if retry_after is not None:
            words = f"Too Many Requests: retry after {retry_after}"
            raise Refusal(429, words, {"retry_after": retry_after})

    async def _do_getMe(self, _fields: dict[str, Any]) -> Any:  # noqa: N802 - the Bot API's own names below
        return BOT

    async def _do_setMyCommands(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        if chat_id := fields.get("scope", {}).get("chat_id"):
            self.menus[int(chat_id)] = " ".join(command["description"] for command in fields["commands"])
        else:
            self.commands[fields.get("language_code", "")] = [command["command"] for command in fields["commands"]]
        return True

    async def _do_answerCallbackQuery(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        self.thanked.append(fields["callback_query_id"])
        self.toasts[fields["callback_query_id"]] = fields.get("text", "")
        return True

    async def _do_sendChatAction(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        self.actions[int(fields["chat_id"])].append(time.monotonic())
        return True

    async def _do_sendMessageDraft(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id = int(fields["chat_id"])
        if chat_id in self.no_draft_chats:
            raise Refusal(400, "Bad Request: chat not found")
        if chat_id < 0 or not int(fields["draft_id"]):
            raise Refusal(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
        check_text(fields["text"])
        self.drafts[chat_id].append(fields["text"])
        self.shown_drafts[chat_id] = (fields["text"], time.monotonic() + _DRAFT_SECONDS)
        return True

    def draft(self, chat_id: int) -> str | None:
        """The draft that the person sees now."""
        text, until = self.shown_drafts.get(chat_id, ("", 0.0))
        return text if time.monotonic() < until else None

    async def _do_sendMessage(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id = int(fields["chat_id"])
        if chat_id in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        check_text(fields["text"])
        check_buttons(fields)
        self._next_message_id += 1
        sent = Sent(self._next_message_id, [fields["text"]], buttons_of(fields))
        sent.reply_to = fields.get("reply_parameters", {}).get("message_id")
        sent.only_to = int(fields["receiver_user_id"]) if "receiver_user_id" in fields else None
        sent.thread_id = int(fields["message_thread_id"]) if "message_thread_id" in fields else None
        self.sent[chat_id].append(sent)
        if not fields.get("disable_notification"):
            self.rang.append(sent.message_id)
        self.shown_drafts.pop(chat_id, None)
        self.on_sent(chat_id, sent)
        return shown_as(chat_id, sent)

    async def _do_copyMessage(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        self._next_message_id += 1
        copied = (int(fields["from_chat_id"]), int(fields["message_id"]))
        self.copies[int(fields["chat_id"])].append(copied)
        return {"message_id": self._next_message_id}

    async def _do_sendDocument(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        self._next_message_id += 1
        sent = Sent(self._next_message_id, [fields.get("caption", "")], file=fields["document"])
        self.sent[int(fields["chat_id"])].append(sent)
        return shown_as(int(fields["chat_id"]), sent)

    async def _do_getFile(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        file_id = fields["file_id"]
        if file_id not in self.files:
            raise Refusal(400, "Bad Request: wrong file identifier/HTTP URL specified")
        if len(self.files[file_id]) > _LARGEST_DOWNLOAD:
            raise Refusal(400, "Bad Request: file is too big")
        return {"file_id": file_id, "file_unique_id": file_id, "file_path": f"photos/{file_id}"}

    async def _do_sendMediaGroup(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id = int(fields["chat_id"])
        if chat_id in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        messages = []
        for item in fields["media"]:
            self._next_message_id += 1
            content = fields[item["media"].removeprefix("attach://")]
            sent = Sent(self._next_message_id, [item.get("caption", "")], file=content)
            self.sent[chat_id].append(sent)
            messages.append(shown_as(chat_id, sent))
        return messages

    async def _do_editMessageText(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id, message_id = int(fields["chat_id"]), int(fields["message_id"])
        sent = next((sent for sent in self.sent[chat_id] if sent.message_id == message_id), None)
        if sent is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        check_text(fields["text"])
        if fields["text"] == sent.text and buttons_of(fields) == sent.buttons:
            raise Refusal(400, "Bad Request: message is not modified: specified new message content is the same")
        sent.versions.append(fields["text"])
        sent.buttons = buttons_of(fields)
        return shown_as(chat_id, sent)

    async def _do_editMessageReplyMarkup(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id, message_id = int(fields["chat_id"]), int(fields["message_id"])
        sent = next((sent for sent in self.sent[chat_id] if sent.message_id == message_id), None)
        if sent is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        sent.buttons = buttons_of(fields)
        return shown_as(chat_id, sent)

    async def _do_deleteMessage(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        chat_id, message_id = int(fields["chat_id"]), int(fields["message_id"])
        self.sent[chat_id] = [sent for sent in self.sent[chat_id] if sent.message_id != message_id]
        return True

    async def _do_getWebhookInfo(self, _fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        url = self.webhook.get("url", "")
        return {"url": url, "has_custom_certificate": False, "pending_update_count": len(self._updates)}

    async def _do_deleteWebhook(self, _fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        self.webhook = {}
        return True

    async def _do_setWebhook(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        is_new = not self.webhook
        self.webhook = fields
        if is_new:
            self._posting = asyncio.create_task(self._post_updates())
        return True

    async def _do_getUpdates(self, fields: dict[str, Any]) -> Any:  # noqa: N802 - as above
        if self.webhook:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        ended = self._poll = asyncio.get_running_loop().create_future()
        offset = int(fields.get("offset", 0))
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        deadline = time.monotonic() + float(fields.get("timeout", 0))
        while not self._updates and time.monotonic() < deadline:
            self._has_updates.clear()
            waiting = asyncio.create_task(self._has_updates.wait())
            left = max(0.0, deadline - time.monotonic())
            await asyncio.wait({waiting, ended}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if ended.done():
                raise Refusal(409, "Conflict: terminated by other getUpdates request; only one bot instance may run")
        ended.cancel()
        batch = self._updates[: int(fields.get("limit", 100))]
        if batch:
            self.on_fetched([update["update_id"] for update in batch])
        return batch

    async def _post_updates(self) -> None:
        """Each chat's updates in order, one at a time, until each was answered by 200."""
        while self.webhook:
            if not self._updates:
                self._has_updates.clear()
                await self._has_updates.wait()
                continue
            chats: dict[int, dict[str, Any]] = {}
            for update in self._updates:
                chats.setdefault(chat_of(update), update)
            await asyncio.gather(*(asyncio.to_thread(self._post, update) for update in chats.values()))
            await asyncio.sleep(0.02)

    def _post(self, update: dict[str, Any]) -> None:
        secret = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.get("secret_token", "")}
        status = post(self.webhook["url"], json.dumps(update), secret)
        self.webhook_answers.append(status)
        if status == 200:
            self._updates.remove(update)
        else:
            time.sleep(0.2)

    async def _end(self) -> None:
        if self._server is not None:
            await self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
