"""Replies written beforehand, in place of a model that understands too little: a script that quotes.

A reply is what answers the last message (`reply` in the file), or a few words that take it up (`reaction`, or the words
for a short answer) and the next question of what the conversation is about (`topic`). What was asked or told is not
asked again.
"""

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Container, Iterator, Sequence

from care.guard import Guard
from care.languages import language_of, spelled
from care.normalise import simplified
from worker.engine.port import Exchange
from worker.prewritten.quoting import clause, clauses, person, word_for_word
from worker.prewritten.script import FILE, CuedSentences, ReplyScript, Topic, script

__all__ = ["FILE", "PrewrittenReplies"]

_RUN = 6
"""Han characters in a row that make a repetition of an earlier reply."""
_HAN = re.compile("[\u3400-\u9fff]+")
_WORDS = re.compile(r"[^\W\d_]{2,}(?:\W+[^\W\d_]+)+")
_LETTERS = re.compile(r"[^\W\d_]")
_REFLECTS = re.compile("[^，。？！“]{3,16}……")
_LONGEST_BEFORE_WORDS = 14
_REFLECTIONS_IN_A_ROW = 2
"""Then it sounds like a parrot."""
_WEAK_LASTS = 2
"""Messages, with the one that names it."""
_QUESTIONS_IN_A_ROW = 2
"""After so many replies with a question one goes without."""


class PrewrittenReplies:
    """Chooses a reply that the guard lets pass; `seed` varies which of several wordings is taken. Thread-safe."""

    def __init__(self, guard: Guard, *, seed: int = 0) -> None:
        self._guard = guard
        self._seed = seed

    def reply_to(self, history: Sequence[Exchange], text: str, *, avoided: Container[str] = ()) -> str:
        """A reply that is not among `avoided`, in the script of `text`."""
        language = language_of(text, before=None, told=None, default="zh")
        plain = [Exchange(simplified(past.text), simplified(past.reply)) for past in history]
        turn = _Turn(plain, simplified(text).strip(), seed=self._seed)
        spelt = (spelled(reply, language) for reply in turn.replies())
        fit = (reply for reply in spelt if reply not in avoided and not self._is_stopped(reply, text))
        return next(fit, spelled(turn.last_resort, language))

    def _is_stopped(self, reply: str, text: str) -> bool:
        """What a person said may be stopped when we say it back."""
        return self._guard.judge(reply, is_finished=True, said=text).is_blocked


class _Turn:
    """One message and what was said before it, in simplified characters."""

    def __init__(self, history: Sequence[Exchange], text: str, *, seed: int) -> None:
        self._history = history
        self._text = text
        self._script: ReplyScript = script()
        self._heard = [past.text for past in history] + [text]
        self._number = zlib.crc32(f"{seed} {self._heard[0]}".encode()) + len(history)
        self._asked = [self._script.asked_in(past.reply) for past in history]
        self._about = {topic.name for topic in self._script.topics if any(map(topic.cue.is_in, self._heard))}
        self._slots = self._filled_slots()

    @property
    def last_resort(self) -> str:
        """Can be said after anything."""
        return self._script.phrases["silent"][0]

    def replies(self) -> Iterator[str]:
        """The best first; what would repeat something of an earlier reply last, the longest ago first."""
        given = {past.reply for past in self._history}
        said = {run for reply in given for run in _runs(reply)}
        possible = list(dict.fromkeys(self._possible()))
        if self._has_had_enough_of_questions():
            possible.sort(key=lambda one: "？" in one)
        yield from (one for one in possible if one not in given and not said & _runs(one))
        yield from sorted(possible, key=self._last_given)

    def _possible(self) -> Iterator[str]:
        if not _HAN.search(self._text):
            yield from self._without_chinese()
        for reply in self._script.replies:
            if self._is_met(reply):
                yield from self._followed(self._in_turn(reply.says), asks=not reply.is_whole)
        yield from self._followed(self._openings(), asks=True)
        yield from self._in_turn(self._script.phrases["listening"])

    def _without_chinese(self) -> Iterator[str]:
        known = [reply for reply in self._script.replies if reply.cue.is_in(self._text)]
        for reply in known:
            yield from self._in_turn(reply.says)
        kind = "not_chinese" if _WORDS.search(self._text) else "a_riddle" if _LETTERS.search(self._text) else "silent"
        yield from self._in_turn(self._script.phrases[kind])

    def _is_met(self, said: CuedSentences) -> bool:
        if said.never_about in self._about or (said.only_about is not None and said.only_about not in self._about):
            return False
        return any(said.cue.is_in(one) for one in (self._heard if said.is_lasting else self._heard[-1:]))

    def _openings(self) -> Iterator[str]:
        """What takes up the message, the best first."""
        if (answer := self._short_answer()) is not None:
            question = self._script.questions.get(self._asked[-1] or "") if self._asked else None
            if question is not None:
                yield from self._in_turn(question.after.get(answer, ()))
            yield from self._in_turn(self._script.phrases.get(f"after_{answer}", ()))
        for reaction in self._script.reactions:
            if self._is_met(reaction):
                yield from self._said_back(self._in_turn(reaction.says, about=reaction), about=reaction)
        yield from (f"{one}……" for one in clauses(self._text))
        yield from self._in_turn(self._script.phrases["recalling"])
        yield from self._in_turn(self._script.phrases["listening"])

    def _said_back(self, openings: Iterator[str], *, about: CuedSentences) -> Iterator[str]:
        """With the person's own clause before them, unless the last replies began like that."""
        said = clause(self._text, about.cue.found) or clause(self._text)
        if said is None or len(said) > _LONGEST_BEFORE_WORDS or self._has_reflected_enough():
            yield from openings
            return
        for opening in openings:
            yield opening if said in opening else f"{said}……{opening}"
            yield opening

    def _has_reflected_enough(self) -> bool:
        last = self._history[-_REFLECTIONS_IN_A_ROW:]
        return len(last) == _REFLECTIONS_IN_A_ROW and all(_REFLECTS.match(past.reply) for past in last)

    def _short_answer(self) -> str | None:
        return next((name for name, cue in self._script.answers.items() if cue.is_in(self._text)), None)

    def _followed(self, openings: Iterator[str], *, asks: bool) -> Iterator[str]:
        """Each with the next question, or alone where it is time to ask nothing."""
        questions = list(itertools.islice(self._questions(), 3)) if asks else []
        going_on = list(self._in_turn(self._script.phrases["going_on"]))
        is_enough = self._has_asked_enough()
        for opening in openings:
            if opening.endswith(("？", "?")):
                yield opening
            elif opening.endswith("……"):
                yield from (opening + one for one in [*([] if is_enough else questions), *going_on])
            elif not questions or (is_enough and len(opening) > _RUN * 2):
                yield opening
            else:
                yield from (opening + question for question in questions)

    def _has_asked_enough(self) -> bool:
        last = self._history[-_QUESTIONS_IN_A_ROW:]
        return len(last) == _QUESTIONS_IN_A_ROW and all(past.reply.endswith(("？", "?")) for past in last)

    def _questions(self) -> Iterator[str]:
        """What the topic has still to ask, in its order."""
        for topic in self._topics():
            for name, variants in topic.asks.items():
                question = self._script.questions[name]
                if name not in self._asked and not any(question.told.is_in(one) for one in self._heard):
                    yield from itertools.islice(self._in_turn(variants), 1)

    def _topics(self) -> Iterator[Topic]:
        """What the last messages are about, the weak ones last, then what fits any."""
        found = [
            topic
            for ago, one in enumerate(reversed(self._heard))
            for topic in self._script.topics
            if topic.cue.is_in(one)
            and topic.never_about not in self._about
            and (not topic.is_weak or ago < _WEAK_LASTS)
        ]
        found.sort(key=lambda topic: topic.is_weak)
        general = [] if found and found[0].is_only else [self._script.topics[-1]]
        yield from dict.fromkeys([*found, *general])

    def _has_had_enough_of_questions(self) -> bool:
        asked_not_to = next(reply for reply in self._script.replies if reply.name == "no_more_questions")
        return any(asked_not_to.cue.is_in(one) for one in self._heard)

    def _in_turn(self, says: Sequence[str], *, about: CuedSentences | None = None) -> Iterator[str]:
        """Those whose slots can be filled."""
        slots = self._slots if about is None else self._slots | {"quote": clause(self._text, about.cue.found)}
        for one in self._rotated(says):
            if all(slots.get(name) for name in re.findall(r"\{(\w+)\}", one)):
                yield one.format(**slots)

    def _rotated(self, says: Sequence[str]) -> Sequence[str]:
        start = self._number % len(says) if says else 0
        return [*says[start:], *says[:start]]

    def _filled_slots(self) -> dict[str, str | None]:
        earlier = [past.text for past in self._history]
        asked_about = [one for one in reversed(earlier) if _pairs(one) & _pairs(self._text)]
        tries = [one for topic in itertools.islice(self._topics(), 2) for one in topic.tries]
        given = [past.reply for past in self._history]
        told = [said for one in earlier[:-1] for said in clauses(one)]
        return {
            "quote": clause(self._text),
            "who": _most_named(self._heard),
            "first": word_for_word(earlier[0]) if earlier else None,
            "told": word_for_word(asked_about[0]) if asked_about else None,
            "earlier": next((said for said in told if not any(said in reply for reply in given)), None),
            "try": next((one for one in tries if not any(one in reply for reply in given)), None),
        }

    def _last_given(self, reply: str) -> int:
        return max((number for number, past in enumerate(self._history) if past.reply == reply), default=-1)


def _runs(text: str) -> set[str]:
    return {part[at : at + _RUN] for part in _HAN.findall(text) for at in range(len(part) - _RUN + 1)}


def _most_named(heard: Sequence[str]) -> str | None:
    """Of those as often named, the first."""
    named = Counter(who for one in heard if (who := person(one)))
    return max(named, key=named.__getitem__, default=None)


def _pairs(text: str) -> set[str]:
    return {part[at : at + 2] for part in _HAN.findall(text) for at in range(len(part) - 1)}
