"""The tables. Texts are bytes sealed by `dialogue.storage.vault`; everything else can be read by an operator.

Import them from here, so that the whole schema is loaded, which foreign keys and migrations need. The names in capitals
are for statements that are built once (decision 0002).
"""

from dialogue.tables.audit import AUDIT, AuditEntry
from dialogue.tables.budgets import SEND_BUDGETS, SendBudget
from dialogue.tables.cases import CASE_CALLS, CASES, PERSON_NOTES, Case, CaseCall, PersonNote, SavedView
from dialogue.tables.conversations import CONVERSATIONS, Conversation
from dialogue.tables.cursors import CHANNEL_CURSORS, ChannelCursor
from dialogue.tables.deliveries import DELIVERIES, IS_OPEN_DELIVERY, Delivery
from dialogue.tables.mapping import Figure, Table, Utc
from dialogue.tables.media import MEDIA, MEDIUM_CHUNKS, Medium, MediumChunk
from dialogue.tables.moves import CHAT_MOVES, ChatMove
from dialogue.tables.people import COMPLAINTS, EMERGENCY_CONTACTS, PEOPLE, Complaint, EmergencyContact, Person
from dialogue.tables.processes import PROCESSES, Compatibility, Process
from dialogue.tables.staff import (
    RESET_ORDERS,
    ResetOrder,
    SignInTries,
    Staff,
    StaffBrowser,
    StaffFactor,
    StaffIdentity,
    StaffLink,
    StaffRecoveryCode,
    StaffSession,
)
from dialogue.tables.turns import FEEDBACK, IS_OPEN_TURN, MESSAGES, TURNS, Feedback, Message, Turn
from dialogue.tables.unparsed import UNPARSED_UPDATES, UnparsedUpdate

__all__ = [
    "AUDIT",
    "CASES",
    "CASE_CALLS",
    "CHANNEL_CURSORS",
    "CHAT_MOVES",
    "COMPLAINTS",
    "CONVERSATIONS",
    "DELIVERIES",
    "EMERGENCY_CONTACTS",
    "FEEDBACK",
    "IS_OPEN_DELIVERY",
    "IS_OPEN_TURN",
    "MEDIA",
    "MEDIUM_CHUNKS",
    "MESSAGES",
    "PEOPLE",
    "PERSON_NOTES",
    "PROCESSES",
    "RESET_ORDERS",
    "SEND_BUDGETS",
    "TURNS",
    "UNPARSED_UPDATES",
    "AuditEntry",
    "Case",
    "CaseCall",
    "ChannelCursor",
    "ChatMove",
    "Compatibility",
    "Complaint",
    "Conversation",
    "Delivery",
    "EmergencyContact",
    "Feedback",
    "Figure",
    "Medium",
    "MediumChunk",
    "Message",
    "Person",
    "PersonNote",
    "Process",
    "ResetOrder",
    "SavedView",
    "SendBudget",
    "SignInTries",
    "Staff",
    "StaffBrowser",
    "StaffFactor",
    "StaffIdentity",
    "StaffLink",
    "StaffRecoveryCode",
    "StaffSession",
    "Table",
    "Turn",
    "UnparsedUpdate",
    "Utc",
]
