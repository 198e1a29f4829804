"""What a person showed in a conversation: shown or played in its transcript, or saved, for who reads it.

It is somebody's content, so nothing of it is run: its type is what its bytes say, and a type that a browser would do
more with than show is offered as a file only.
"""

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote
from uuid import UUID

from starlette.responses import Response

from console import transcript_tokens
from console.gate import PageRoute
from console.page_request import PageRequest, Refused, as_id
from console.pages.actions import actor, office, perform
from dialogue.admin import shown_media
from dialogue.core import content_types, medium_words
from dialogue.core.media import SeenMedium
from dialogue.errors import Erased
from dialogue.states import Role

_POLICY = "default-src 'none'; sandbox"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def show(visit: PageRequest) -> Response:
    """The content, in a sitting, whose beginning was audited; saving it is audited too."""
    conversation_id, medium_id = visit.path_id(), as_id(visit.request.path_params["medium"])
    if not transcript_tokens.goes_on(visit.staff, conversation_id, visit.query("sitting"), now=visit.now):
        raise Refused(403, "error_form")
    medium, content = _opened(visit, conversation_id, medium_id)
    is_saved = visit.query("save") == "1"
    if is_saved:
        perform(visit, partial(shown_media.note_saved, medium=medium, by=actor(visit), now=visit.now))
    return _response(visit, medium, content, is_saved=is_saved)


def _opened(visit: PageRequest, conversation_id: UUID, medium_id: UUID | None) -> tuple[SeenMedium, bytes]:
    if medium_id is None:
        raise Refused(404, "error_not_found")
    try:
        with visit.services.database.read() as session:
            found = shown_media.opened(session, office(visit), conversation_id, medium_id)
    except Erased:
        raise Refused(409, "refused_Erased") from None
    if found is None:
        raise Refused(404, "error_not_found")
    return found


def _response(visit: PageRequest, medium: SeenMedium, content: bytes, *, is_saved: bool) -> Response:
    is_inline = medium.content_type in content_types.INLINE and not is_saved
    headers = {
        "Content-Type": medium.content_type if is_inline else content_types.UNKNOWN,
        "Content-Disposition": f"{'inline' if is_inline else 'attachment'}; {_named(medium)}",
        "Content-Security-Policy": _POLICY,
        "Accept-Ranges": "bytes",
    }
    return _ranged(content, visit.request.headers.get("range", ""), headers)


def _named(medium: SeenMedium) -> str:
    """RFC 6266."""
    return f"filename*=UTF-8''{quote(medium_words.file_name(medium), safe='')}"


def _ranged(content: bytes, wanted: str, headers: Mapping[str, str]) -> Response:
    """One range, as players ask for it (RFC 9110, section 14); anything else gets the whole."""
    found, size = _RANGE.fullmatch(wanted.strip()), len(content)
    if found is None or not any(found.groups()):
        return Response(content, headers=dict(headers))
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return Response(content[start:end], status_code=206, headers=headers)


PAGES = (
    PageRoute(
        path="/conversations/{id}/media/{medium}", method="GET", role=Role.COUNSELLOR, handler=show, is_quiet=True
    ),
)
