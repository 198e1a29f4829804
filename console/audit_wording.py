"""The audit as its reader speaks: who a part of the program is, and the reasons that the program writes itself.

The rows keep the program's own codes, so that they mean the same in every language. What somebody typed as a reason
stays as it was typed.
"""

import re
from collections.abc import Iterable, Mapping

from care.texts import Texts
from dialogue.admin.audit import Action
from dialogue.core.danger_course import ALARM
from dialogue.rights.erasure import ERASED
from dialogue.upkeep.housekeeper import PURGED
from dialogue.upkeep.strangers import FORGOTTEN

_CASE = (re.compile(r"(?P<case>\w+) level=(?P<level>\d)"), "reason_case")
_FROM = (re.compile(r"from (?P<who>\S+)"), "reason_from")
_TO = (re.compile(r"to (?P<who>\S+)"), "reason_to")
_MEMBER = (re.compile(r"(?P<name>\S+) \((?P<role>\w+)\)"), "reason_member")
_SINGLE_SIGN_ON = (re.compile(r"(?P<address>\S+) \(single sign-on\)"), "reason_single_sign_on")
_FACTOR = (re.compile(r"(?P<factor>\w+)"), "reason_factor")

_FORMS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    ALARM: ((re.compile(r"tier (?P<tier>\d)"), "reason_tier"),),
    Action.CASE_OPENED: (_CASE,),
    Action.CASE_RAISED: (_CASE,),
    Action.CASE_CALLED: ((re.compile("nobody"), "reason_nobody"),),
    Action.CASE_TAKEN: (_FROM,),
    Action.CASE_HANDED: (_TO,),
    Action.CASE_GIVEN_BACK: (_FROM,),
    Action.CASE_CLOSED: ((re.compile(r"(?P<outcome>\w+)"), "reason_outcome"),),
    Action.ASSIGN: ((re.compile("to –"), "nobody"), _TO),
    Action.NOTE: ((re.compile(r"(?P<note>\w+)"), "reason_note"),),
    Action.RELEASE: ((re.compile(r"no answer for (?P<count>\d+) minutes"), "reason_unanswered"),),
    Action.ROTATE_KEYS: ((re.compile(r"rewrapped=(?P<count>\d+)"), "reason_rewrapped"),),
    PURGED: ((re.compile(r"texts=(?P<texts>\d+) conversations=(?P<count>\d+)"), "reason_purged"),),
    FORGOTTEN: ((re.compile(r"people=(?P<count>\d+)"), "reason_forgotten"),),
    ERASED: ((re.compile("restored"), "reason_restored"),),
    "staff_added": (_MEMBER,),
    "staff_role_set": (_MEMBER,),
    "staff_signed_in": (_SINGLE_SIGN_ON,),
    "sign_in_failed": (_SINGLE_SIGN_ON,),
    "second_factor_added": (_FACTOR,),
    "second_factor_removed": (_FACTOR,),
    "recovery_code_used": ((re.compile(r"left=(?P<count>\d+)"), "recovery_codes_left"),),
}
"""What the program writes as the reason of an action, and the sentence for it. A part with a name that begins keys of
the locales (`case`, `role`, …) is itself said in the reader's language."""

_ACTOR = "actor_"


def actor(words: Texts, name: str) -> str:
    """A part of the program by what it does; a person by their name."""
    key = f"{_ACTOR}{name}"
    return words.say(key) if key in words.sentences else name


def actors_called(languages: Iterable[Texts], label: str) -> set[str]:
    """The parts of the program that are shown so, in any language."""
    wanted = label.casefold()
    return {
        key.removeprefix(_ACTOR)
        for words in languages
        for key, sentence in words.sentences.items()
        if key.startswith(_ACTOR) and sentence.casefold() == wanted
    }


def reason(words: Texts, action: str, text: str | None) -> str:
    """Why, as the reader speaks; empty if there is none."""
    if not text:
        return ""
    for pattern, key in _FORMS.get(action, ()):
        if found := pattern.fullmatch(text):
            return words.say(key, **{name: _part(words, name, code) for name, code in found.groupdict().items()})
    return text


def _part(words: Texts, name: str, code: str) -> str:
    key = f"{name}_{code}"
    return words.say(key) if key in words.sentences else code
