"""The expected errors of the dialogue; each class says what is wrong."""


class DialogueError(Exception):
    """Something that is foreseen went wrong."""

    def __str__(self) -> str:
        return " ".join(map(str, self.args)) or (self.__doc__ or "").strip()


class EmptyMessage(DialogueError):
    """The message has no text."""


class MessageTooLong(DialogueError):
    """The message is longer than allowed."""

    def __init__(self, *, length: int, max_length: int) -> None:
        super().__init__(f"The message has {length} characters; at most {max_length} are allowed.")
        self.length = length
        self.max_length = max_length


class Unreadable(DialogueError):
    """A stored text cannot be decrypted: wrong key, or the row was changed."""


class Erased(DialogueError):
    """The person's data key is gone; their texts cannot be read any more."""


class EnvironmentFault(DialogueError):
    """What surrounds the process is at fault, never the message at hand: that is kept until the fault is mended."""


class Misconfigured(EnvironmentFault):
    """A setting is wrong; the message names it and says what to do."""


class WrongSecretKey(Misconfigured):
    """The master key is not the one that this database was written with."""


class DatabaseUnavailable(EnvironmentFault):
    """The database cannot be reached or written."""


class DatabaseDamaged(DatabaseUnavailable):
    """The database file is damaged or no database at all. Stop everything, move it away, and restore a backup into a
    new one: mindglm admin restore FILE.
    """

    def __str__(self) -> str:
        return " ".join((type(self).__doc__ or "").split())


class SchemaMismatch(EnvironmentFault):
    """The database has another schema than this code."""


class NoSuchConversation(DialogueError):
    """No conversation has that id, or an id that begins so."""


class NoSuchPerson(DialogueError):
    """No person is known by that."""


class NoSuchDelivery(DialogueError):
    """No delivery has that id."""


class Ambiguous(DialogueError):
    """Several ids begin so; `candidates` tells some of them apart."""

    def __init__(self, candidates: list[str]) -> None:
        super().__init__(f"Several ids begin so: {', '.join(candidates)}. Give more of it.")
        self.candidates = candidates


class ConversationClosed(DialogueError):
    """The conversation has ended already."""


class HeldByAnother(DialogueError):
    """Somebody else has taken the conversation over."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"The conversation was taken over by {holder}; it must be released first.")
        self.holder = holder


class AlreadyHeld(DialogueError):
    """You have taken the conversation over already."""


class NoPlatformApp(DialogueError):
    """Nobody can answer there in an app of the platform."""


class NotTakenOver(DialogueError):
    """The conversation is not taken over; take it over first."""


class NotFailed(DialogueError):
    """Only a delivery that failed, and whose text is still kept, can be sent again."""


class PersonIsAdmin(DialogueError):
    """An admin cannot be blocked; take them off MINDGLM_ADMINS first."""


class NoSuchCase(DialogueError):
    """There is no case with that id."""


class CaseClosed(DialogueError):
    """The case is closed already."""


class CaseTaken(DialogueError):
    """Somebody else attends to the case."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"{holder} attends to this case.")
        self.holder = holder


class ReasonTooLong(DialogueError):
    """The reason is too long to be kept: at most 255 characters."""
