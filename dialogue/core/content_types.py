"""What a content is, by its first bytes: nobody's word is taken for it.

Only types that a browser shows or plays without running anything of it are known; all else is a file to be kept. The
signatures are those of https://mimesniff.spec.whatwg.org/ and, for AMR, of RFC 4867, section 5.
"""

import re
from dataclasses import dataclass

UNKNOWN = "application/octet-stream"

_MAX_NAME = 100
_NOT_IN_NAMES = re.compile(r"[^\w.()（） -]+")


@dataclass(frozen=True, slots=True)
class _Signature:
    begins: bytes
    content_type: str
    ending: str
    behind: bytes = b""
    behind_at: int = 0

    def fits(self, content: bytes) -> bool:
        is_begun = content.startswith(self.begins)
        return is_begun and content[self.behind_at : self.behind_at + len(self.behind)] == self.behind


_SIGNATURES = (
    _Signature(b"\xff\xd8\xff", "image/jpeg", "jpg"),
    _Signature(b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    _Signature(b"GIF87a", "image/gif", "gif"),
    _Signature(b"GIF89a", "image/gif", "gif"),
    _Signature(b"RIFF", "image/webp", "webp", b"WEBPVP", 8),
    _Signature(b"RIFF", "audio/wav", "wav", b"WAVE", 8),
    _Signature(b"OggS\x00", "audio/ogg", "ogg"),
    _Signature(b"ID3", "audio/mpeg", "mp3"),
    _Signature(b"\xff\xfb", "audio/mpeg", "mp3"),
    _Signature(b"\xff\xf3", "audio/mpeg", "mp3"),
    _Signature(b"\x1aE\xdf\xa3", "video/webm", "webm"),
    _Signature(b"", "audio/mp4", "m4a", b"ftypM4A", 4),
    _Signature(b"", "video/mp4", "mp4", b"ftyp", 4),
    _Signature(b"#!AMR", "audio/amr", "amr"),
    _Signature(b"\x02#!SILK", "audio/silk", "silk"),
    _Signature(b"#!SILK", "audio/silk", "silk"),
    _Signature(b"%PDF-", "application/pdf", "pdf"),
)
_ENDINGS = {one.content_type: one.ending for one in _SIGNATURES}
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PLAYED = frozenset({"audio/wav", "audio/ogg", "audio/mpeg", "audio/mp4"})
_WATCHED = frozenset({"video/webm", "video/mp4"})
INLINE = _SHOWN | _PLAYED | _WATCHED
"""What a browser may show where it stands."""


def content_type_of(content: bytes) -> str:
    """One of those that are known, or `UNKNOWN`. A few hundred bytes are enough."""
    found = _signature_of(content)
    return UNKNOWN if found is None else found.content_type


def element_of(content_type: str) -> str:
    """What shows it on a page: `img`, `audio`, `video`; empty for a file that is only kept."""
    for types, element in ((_SHOWN, "img"), (_PLAYED, "audio"), (_WATCHED, "video")):
        if content_type in types:
            return element
    return ""


def file_name(given: str, *, content_type: str, otherwise: str) -> str:
    """The person's own name for a file, without what has a meaning to a file system; else one of ours."""
    name = _NOT_IN_NAMES.sub("_", given).strip(" .")[-_MAX_NAME:]
    return name or f"{otherwise}.{_ENDINGS.get(content_type, 'bin')}"


def _signature_of(content: bytes) -> _Signature | None:
    return next((one for one in _SIGNATURES if one.fits(content)), None)
