"""What uv is told of pip's settings, and what people are told of pip's troubles."""

from pathlib import Path

import pytest

from bootstrap import uv
from bootstrap.uv import PipSettings


def test_pips_variables_come_before_its_files_and_missing_directories_are_left_out(tmp_path: Path) -> None:
    listing = f"global.index-url='file'\n:env:.index-url='variable'\nglobal.find-links='{tmp_path} /missing'\n"
    assert PipSettings.parse(listing) == PipSettings("variable", None, [str(tmp_path)])


def test_pip_with_nothing_configured_says_nothing() -> None:
    assert PipSettings.parse("") == PipSettings(None, None, [])


def test_uv_sees_the_systems_certificates_and_pips_places() -> None:
    settings = PipSettings("mirror", "bundle", ["/one", "/two"])
    assert uv.environment({"HOME": "/h"}, settings) == {
        "HOME": "/h",
        "UV_SYSTEM_CERTS": "1",
        "UV_DEFAULT_INDEX": "mirror",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "bundle",
    }


def test_what_is_set_for_uv_itself_wins() -> None:
    own = {"UV_DEFAULT_INDEX": "own", "UV_FIND_LINKS": "own", "UV_SYSTEM_CERTS": "0", "SSL_CERT_FILE": "own"}
    assert uv.environment(own, PipSettings("mirror", "bundle", ["/one"])) == own


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("[Errno -3] Temporary failure in name resolution'))': /simple/uv/", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "not trusted"),
        ("ERROR: something\nERROR: quite new\n", "pip failed: ERROR: quite new"),
        ("", "no output"),
    ],
)
def test_what_stopped_pip_is_said_in_one_line(output: str, words: str) -> None:
    line = uv.explain(output)
    assert words in line
    assert "\n" not in line
