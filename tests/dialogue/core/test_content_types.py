import pytest

from dialogue.core.content_types import INLINE, UNKNOWN, content_type_of, element_of, file_name


@pytest.mark.parametrize(
    ("content", "content_type", "element"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", "img"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png", "img"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp", "img"),
        (b"OggS\x00\x02", "audio/ogg", "audio"),
        (b"\x00\x00\x00\x1cftypM4A ", "audio/mp4", "audio"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4", "video"),
        (b"#!AMR\n\x3c", "audio/amr", ""),
        (b"\x02#!SILK_V3", "audio/silk", ""),
        (b"%PDF-1.7", "application/pdf", ""),
    ],
)
def test_a_content_is_what_its_bytes_say(content: bytes, content_type: str, element: str) -> None:
    assert content_type_of(content) == content_type
    assert element_of(content_type) == element
    assert (content_type in INLINE) == bool(element)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b'<?xml version="1.0"?><svg/>',
        b"\xef\xbb\xbf<!doctype html>",
        b"RIFF\x10\x00\x00\x00<svg",
        b"MZ\x90\x00",
        b"\x89PNG",
    ],
)
def test_what_a_browser_would_run_or_guess_at_is_only_a_file(content: bytes) -> None:
    assert content_type_of(content) == UNKNOWN
    assert UNKNOWN not in INLINE
    assert element_of(UNKNOWN) == ""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("遗书 (1).png", "遗书 (1).png"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"b\r\nSet-Cookie: x.jpg', "a_b_Set-Cookie_ x.jpg"),
        ("…", "_"),
        ("", "image-1.jpg"),
        (" .. ", "image-1.jpg"),
    ],
)
def test_a_files_name_means_nothing_to_a_file_system(given: str, name: str) -> None:
    assert file_name(given, content_type="image/jpeg", otherwise="image-1") == name
