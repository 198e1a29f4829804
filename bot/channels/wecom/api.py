"""WeCom's API as a client.

https://developer.work.weixin.qq.com/document/path/94670 and following.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.channels.tencent.client import CONTENT
from bot.channels.tencent.token_client import TokenClient, TokenRequest

_SECONDS = 10.0
_UPLOAD_SECONDS = 60.0
_PAGE = 1000
_ACCOUNTS_PAGE = 100
_ENDINGS = {"image": "jpg", "voice": "amr", "video": "mp4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One of the organisation's customer-service accounts."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledPage:
    """What came after a cursor; `has_more` also where `items` is empty."""

    items: Sequence[dict[str, Any]]
    next_cursor: str
    has_more: bool


class Api:
    """Every method raises `ApiError` for what WeCom refuses, `Unreachable` where no answer came."""

    def __init__(self, *, corp_id: str, secret: str, url: str, max_items: int = _PAGE) -> None:
        """Raises `Misconfigured`."""
        credentials = {"corpid": corp_id, "corpsecret": secret}
        self._max_items = max_items
        self._client = TokenClient(url, TokenRequest(path="gettoken", query=credentials))

    async def close(self) -> None:
        await self._client.close()

    def tokens_ended_early(self) -> int:
        """How many of our tokens WeCom has ended before their time, within an hour."""
        return self._client.tokens_ended_early()

    async def accounts(self) -> list[Account]:
        """All that our app may use."""
        found: list[Account] = []
        while True:
            answer = await self.call("kf/account/list", {"offset": len(found), "limit": _ACCOUNTS_PAGE})
            page = answer.get("account_list") or []
            found += [Account(id=one["open_kfid"], name=one.get("name", "")) for one in page]
            if len(page) < _ACCOUNTS_PAGE:
                return found

    async def pull(self, account: str, *, cursor: str | None, token: str) -> PulledPage:
        """Messages and events of an account, in the order of their arrival."""
        fields: dict[str, Any] = {"open_kfid": account, "limit": self._max_items}
        fields |= {name: value for name, value in (("cursor", cursor), ("token", token)) if value}
        answer = await self.call("kf/sync_msg", fields)
        return PulledPage(
            items=answer.get("msg_list") or [],
            next_cursor=answer.get("next_cursor") or cursor or "",
            has_more=bool(answer.get("has_more")),
        )

    async def state(self, account: str, person: str) -> tuple[int, str]:
        """The state of a session, and the colleague who has it, if any."""
        answer = await self.call("kf/service_state/get", {"open_kfid": account, "external_userid": person})
        return int(answer["service_state"]), str(answer.get("servicer_userid") or "")

    async def hand_over(self, account: str, person: str, *, servicer: str) -> None:
        """Give the session to a colleague; there is no way back until they end it."""
        place = {"open_kfid": account, "external_userid": person}
        await self.call("kf/service_state/trans", {**place, "service_state": 3, "servicer_userid": servicer})

    async def on_duty(self, account: str) -> list[str]:
        """The colleagues who take sessions of that account now."""
        answer = await self.call("kf/servicer/list", query={"open_kfid": account})
        listed = answer.get("servicer_list") or []
        return [one["userid"] for one in listed if one.get("userid") and one.get("status") == 0]

    async def upload(self, name: str, content: bytes, *, kind: str = "file") -> str:
        """Something that can be sent for three days; returns its media id."""
        files = {"media": (name, content)}
        answer = await self.call("media/upload", query={"type": kind}, files=files, seconds=_UPLOAD_SECONDS)
        return str(answer["media_id"])

    async def download(self, media_id: str) -> bytes:
        """What a person sent, in the last three days; empty where an answer has no file."""
        answer = await self.call("media/get", query={"media_id": media_id}, seconds=_UPLOAD_SECONDS)
        content = answer.get(CONTENT)
        return content if isinstance(content, bytes) else b""

    async def copy(self, kind: str, media_id: str) -> str:
        """What a person sent, as something that we may send; nothing of it is kept here. Returns its media id."""
        content = await self.download(media_id)
        return await self.upload(f"{kind}.{_ENDINGS.get(kind, 'bin')}", content, kind=kind)

    async def call(
        self,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        files: dict[str, Any] | None = None,
        seconds: float = _SECONDS,
    ) -> dict[str, Any]:
        """POST `fields` or `files`; GET without either. A token that has ended is renewed once."""
        return await self._client.call(path, fields, query=query, files=files, seconds=seconds)
