"""The API of Official Accounts as a client.

https://developers.weixin.qq.com/doc/service/api/ : the stable token, customer-service messages, media, the menu.
"""

from typing import Any

from bot.channels.oa.errors import Code
from bot.channels.tencent.client import CONTENT
from bot.channels.tencent.errors import ApiError
from bot.channels.tencent.token_client import TokenClient, TokenRequest

_MEDIA_SECONDS = 60.0
_ENDINGS = {"image": "jpg", "voice": "amr"}
_NOBODY = "nobody"
"""An openid that no follower has."""


class OaApi:
    """Every method raises `ApiError` for what is refused, `Unreachable` where no answer came."""

    def __init__(self, *, app_id: str, secret: str, url: str) -> None:
        """Raises `Misconfigured`."""
        wanted = {"grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": False}
        self._client = TokenClient(url, TokenRequest(path="cgi-bin/stable_token", fields=wanted))

    async def close(self) -> None:
        await self._client.close()

    def tokens_ended_early(self) -> int:
        """How many of our tokens were ended before their time, within an hour."""
        return self._client.tokens_ended_early()

    async def get_ready(self) -> None:
        """Have a token: what is asked for next is asked for at once."""
        await self._client.token()

    async def ask_whether_served(self) -> None:
        """A question that costs nothing: the token, our address and the account are accepted."""
        await self._client.call("cgi-bin/getcallbackip")

    async def is_verified(self) -> bool:
        """Whether the account may send customer-service messages: without it, not even the typing sign is taken."""
        try:
            await self.show_typing(_NOBODY)
        except ApiError as error:
            return error.code != Code.NOT_VERIFIED
        return True

    async def send(self, message: dict[str, Any]) -> None:
        """A customer-service message. It bears no id: it must not be sent again if it may have arrived."""
        await self._client.call("cgi-bin/message/custom/send", message)

    async def show_typing(self, person: str) -> None:
        """For fifteen seconds, or until a message comes."""
        await self._client.call("cgi-bin/message/custom/typing", {"touser": person, "command": "Typing"})

    async def download(self, media_id: str) -> bytes:
        """What a person sent, in the last three days; empty where an answer has no file."""
        answer = await self._client.call("cgi-bin/media/get", query={"media_id": media_id}, seconds=_MEDIA_SECONDS)
        content = answer.get(CONTENT)
        return content if isinstance(content, bytes) else b""

    async def copy(self, kind: str, media_id: str) -> str:
        """What a person sent, as something that we may send; nothing of it is kept here. Returns its media id."""
        files = {"media": (f"{kind}.{_ENDINGS.get(kind, 'bin')}", await self.download(media_id))}
        stored = await self._client.call(
            "cgi-bin/media/upload", query={"type": kind}, files=files, seconds=_MEDIA_SECONDS
        )
        return str(stored["media_id"])

    async def has_menu(self) -> bool:
        """Whether the account has a menu that was made by the API."""
        try:
            await self._client.call("cgi-bin/menu/get")
        except ApiError as error:
            if error.code != Code.NO_MENU_YET:
                raise
            return False
        return True

    async def make_menu(self, menu: dict[str, Any]) -> None:
        """At most three buttons with five under each."""
        await self._client.call("cgi-bin/menu/create", menu)
