"""What can be read, as core sees it."""

from __future__ import annotations

from wellkept import Stream
from wellkept.records import Account, Person, SurveyResponse, Ticket

ORGANIZATIONS = Stream(
    name="organizations",
    records=(Account,),
    doc="Organizations with their domains, our ids and custom fields; merged and deleted ones go.",
    scopes=("organizations:read",),
)
USERS = Stream(
    name="users",
    records=(Person,),
    doc="End users and agents; deleted and merged ones go.",
    scopes=("users:read",),
)
TICKETS = Stream(
    name="tickets",
    records=(Ticket,),
    doc="Tickets with the durations of their metrics; deleted, spam and merged ones go.",
    scopes=("tickets:read",),
)
RATINGS = Stream(
    name="satisfaction_ratings",
    records=(SurveyResponse,),
    doc="Answers to the question how support was; an offer without an answer is none.",
    scopes=("satisfaction_ratings:read",),
)
DELETED = Stream(
    name="deleted_tickets",
    records=(Ticket,),
    doc="The bin: tickets deleted in the last 30 days, also those that the export no longer shows.",
    scopes=("tickets:read",),
    depends_on=("tickets",),
)

ALL = (ORGANIZATIONS, USERS, TICKETS, RATINGS, DELETED)
