"""What a person sent besides words, fetched for a human who is not on this account.

https://developers.weixin.qq.com/doc/service/api/material/temporary/api_getmedia.html
"""

from bot.channels.oa.api import OaApi
from bot.channels.oa.errors import Code
from bot.channels.tencent.errors import ApiError
from bot.incoming.medium_fetcher import MediumUnavailable
from dialogue.messages import MediumOffer
from dialogue.states import MediumKind, MediumLoss

_KINDS = {"image": MediumKind.IMAGE, "voice": MediumKind.VOICE}


def media_in(reference: str) -> tuple[MediumOffer, ...]:
    """Of one message; `reference` is the kind and the id, with a colon between them."""
    kind, _, media_id = reference.partition(":")
    return (MediumOffer(kind=_KINDS[kind], reference=media_id, mark=media_id),)


async def fetch(api: OaApi, reference: str, max_bytes: int) -> bytes:
    """Raises `MediumUnavailable`; `ApiError` and `Unreachable` for what may succeed later."""
    try:
        content = await api.download(reference)
    except ApiError as error:
        if error.code == Code.MEDIA_GONE:
            raise MediumUnavailable(MediumLoss.GONE) from None
        if error.code == Code.NOT_VERIFIED:
            raise MediumUnavailable(MediumLoss.REFUSED) from None
        raise
    if len(content) > max_bytes:
        raise MediumUnavailable(MediumLoss.TOO_LARGE)
    return content
