"""The tables, as SQLAlchemy metadata: the one description from which migrations are written and tests compare.

Used by migrations and tests only; at run time plain SQL goes through `wellkept.store`. Conventions: instants are epoch ms,
flags are 0 or 1, JSON is compact UTF-8 text, keys are text. Tables of records are not here: they are derived from the record
types, a plugin's own included (see `wellkept.store.records`).
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint

from wellkept.store import schema_accounts
from wellkept.store.schema_columns import SEQUENCE, metadata
from wellkept.store.schema_columns import blob as _blob
from wellkept.store.schema_columns import integer as _int
from wellkept.store.schema_columns import sequence as _seq
from wellkept.store.schema_columns import table as _table
from wellkept.store.schema_columns import text as _text

__all__ = ["metadata", "schema_accounts"]

# --- the installation and its instances ----------------------------------------------------------------------------------

_table("meta", _text("key", key=True), _text("value"))
"""Facts about this store: ``key_fingerprint``, ``audit_head``, ``restored_at``, ``backup_at`` (copies), ``columns:TABLE``."""

_table(
    "instances",
    _text("instance", key=True),
    _text("plugin"),
    _text("vendor_account", null=True),
    _text("mode", null=True),
    _text("state", default="ok"),  # ok | paused | disabled
    _text("reason", null=True),
    _int("since", null=True),
    _int("failures", default="0"),
    _text("config_digest", null=True),
    _int("expires_at", null=True),  # when the credential ends, as far as the vendor told
)

_table("locks", _text("name", key=True), _text("owner"), _int("epoch"), _int("expires_at"))
"""Leases and short locks shared by processes; `epoch` grows with every new holder."""

_table(
    "limits",
    _text("credential", key=True),
    _int("blocked_until", default="0"),
    _text("state"),
)
"""The rate limiter's shared state, one row per credential and budget; `state` is the limiter's own JSON."""

_table(
    "tokens",
    _text("instance", key=True),
    _text("name", key=True),
    _blob("sealed"),
    _int("updated_at"),
)

_table("plugin_state", _text("instance", key=True), _text("key", key=True), _text("value"))

# --- sync ----------------------------------------------------------------------------------------------------------------

_table(
    "runs",
    _text("id", key=True),
    _text("kind"),  # sync | score | deliver | run | backfill
    _text("state"),  # running | done | partial | failed | interrupted
    _int("started_at"),
    _int("heartbeat_at"),
    _int("finished_at", null=True),
    _text("host"),
    _int("pid"),
    _text("summary", null=True),
    Index("runs_by_start", "started_at"),
)

_table(
    "run_streams",
    _text("run_id", key=True),
    _text("instance", key=True),
    _text("stream", key=True),
    _text("state"),  # running | done | partial | failed | skipped
    _int("started_at"),
    _int("finished_at", null=True),
    _int("read", default="0"),
    _int("inserted", default="0"),
    _int("updated", default="0"),
    _int("unchanged", default="0"),
    _int("deleted", default="0"),
    _int("rejected", default="0"),
    _text("error", null=True),
    _text("note", null=True),
    Index("run_streams_by_stream", "instance", "stream", "started_at"),
)

_table(
    "schedules",
    _text("instance", key=True),
    _int("last_fired"),
    _int("settled", default="1"),
    _int("tries", default="0"),  # firings since one was last settled
)
"""When the scheduler last let an instance run. A firing is settled when its run came to an end of its own; one that is not was
cut off by a stop or a crash, and is begun again."""

_table(
    "cursors",
    _text("instance", key=True),
    _text("stream", key=True),
    _text("scope", key=True),  # "live", or a backfill's window
    _text("cursor", null=True),
    _int("generation", default="0"),  # counts full reads
    _int("full_since", null=True),  # a full read under way began then
    _int("complete_at", null=True),  # the last full read that left nothing out ended then
    _int("fresh_at", null=True),  # data are complete up to then: the start of the last successful read
    _int("full_rows", default="0"),  # what a full read under way has yielded so far
    _int("full_unknown", default="0"),  # ... and how many of these rows were rejected without an id
    _text("full_wanted", null=True),  # why the next read must be a full one
    _text("anomaly", null=True),  # why the last read is not believed; null once one is credible again
    _int("updated_at"),
)

_table(
    "seen",
    _text("instance", key=True),
    _text("stream", key=True),
    _text("type", key=True),
    _text("id", key=True),
    _int("generation"),
)
"""What a full read under way has yielded, so that absence can be told even when it was interrupted."""

_table(
    "staged",
    _seq(),
    _text("instance"),
    _text("stream"),
    _text("scope"),
    _text("type"),
    _text("id"),
    _text("body"),
    Index("staged_by_stream", "instance", "stream", "scope", "seq"),
)
"""Rows of a generation under way, as JSON, until its last batch swaps them in."""

_table(
    "volumes",
    _text("instance", key=True),
    _text("stream", key=True),
    _text("kind", key=True),  # full | generation | read
    _text("day", key=True),
    _int("rows"),
)
"""What is usual: rows of complete full reads by the day they ended, of generations by their own day, and rows read
incrementally by the day of reading."""

_table(
    "inbox",
    _seq(),
    _text("instance"),
    _text("hint_id"),
    _text("stream"),
    _text("object_id"),  # empty: the hint asks for an incremental read of the stream
    _int("at"),
    _int("received_at"),
    _int("done_at", null=True),
    _int("attempts", default="0"),
    _int("not_before", default="0"),
    UniqueConstraint("instance", "hint_id", "stream", "object_id"),
    Index("inbox_open", "instance", "stream", "done_at"),
    Index("inbox_waiting", "done_at", "not_before"),
)

_table(
    "dead_letters",
    _seq(),
    _text("instance"),
    _text("stream"),
    _text("record_id", null=True),
    _text("digest"),  # of the raw bytes: the same bad row is one letter
    _text("reason"),
    _blob("raw"),
    _text("state", default="open"),  # open | resolved | dropped
    _int("first_at"),
    _int("last_at"),
    _int("count", default="1"),
    UniqueConstraint("instance", "stream", "digest"),
    Index("dead_letters_by_state", "state", "instance", "stream", "record_id"),
)

_table("changes", _seq(), _text("type"), _text("instance"), _text("id"), _int("at"))
"""Rows that changed and have not been resolved yet."""

_table("fact_queue", _seq(), _text("type"), _text("instance"), _text("id"), _int("at"))
"""Rows that changed and that machines over records have not seen yet."""

# --- measures and scores ---------------------------------------------------------------------------------------------------

_table(
    "frame_rows",
    _text("account", key=True),
    _text("as_of"),
    _int("measured_at"),
    _text("cells"),
    _text("gaps"),
)

_table("rates", _text("day", key=True), _text("base", key=True), _text("quote", key=True), _text("rate"))

_table("configs", _text("digest", key=True), _text("body"), _int("first_at"))
"""Every configuration that a score was computed with."""

_table(
    "scores",
    _seq(),
    _text("account"),
    _text("scorer"),
    _text("as_of"),
    _int("at"),
    _text("run_id"),
    _text("scorer_version"),
    _text("config_digest"),
    _int("value_milli", null=True),
    _text("band", null=True),
    _text("held", null=True),
    _text("body"),  # the Score as JSON
    _text("inputs"),  # the cells that it was computed from
    Index("scores_by_account", "account", "scorer", "as_of", "seq"),
)
"""Append-only: a row whenever a score, its band or its explanation changed."""

_table(
    "overrides",
    _seq(),
    _text("account"),
    _text("scorer"),
    _text("band"),
    _text("reason"),
    _text("author"),
    _int("at"),
    _int("expires_at"),
    _int("ended_at", null=True),
    Index("overrides_by_account", "account", "scorer"),
)

# --- decide and deliver ------------------------------------------------------------------------------------------------------

_table(
    "policies",
    _text("policy", key=True),  # instance/name
    _text("version"),
    _int("primed_at", null=True),  # its first run, which plans nothing, ended then
    _int("seen_at"),  # the last decide step that it was part of
)

_table(
    "policy_states",
    _text("policy", key=True),
    _text("subject", key=True),
    _text("state"),
    _int("wake_at", null=True),
    _int("updated_at"),
    Index("policy_states_wake", "wake_at"),
)

_table(
    "policy_facts",
    _text("policy", key=True),
    _text("type", key=True),
    _text("instance", key=True),
    _text("id", key=True),
    _int("at"),
    Index("policy_facts_by_time", "policy", "at", "type", "instance", "id"),
)
"""What `fact_queue` held for each machine that is over, or reads, the type: changed records that it has not seen yet."""

_table("effect_subjects", _text("key", key=True), _text("subject"))
"""Which subject of a machine an effect belongs to, so that the machine can be told how it ended."""

_table("unprimed", _text("policy", key=True), _text("subject", key=True))
"""Accounts (or subjects) that could not be looked at in the run that primed a policy; what is so there, once it is known, was
so already and causes nothing."""

_table(
    "holds",
    _text("policy", key=True),
    _text("account", key=True),
    _text("reason"),
    _int("at"),
)
"""Accounts that a policy did not look at in its last run, and why."""

_table(
    "outbox",
    _seq(),
    _text("key"),
    _text("own_key"),  # the key as the policy wrote it, for its recheck
    _text("parent", null=True),  # key of the effect that this one is a part of: one message per address of the team
    _text("run_id"),
    _text("policy"),
    _text("policy_version"),
    _text("capability"),
    _text("kind"),
    _text("account", null=True),
    _text("instance", null=True),  # which one serves it; fixed by the first claim
    _text("target_instance", null=True),
    _text("target_type", null=True),
    _text("target_id", null=True),
    _text("payload"),
    _text("reason"),
    _text("state"),
    _text("note", null=True),  # why it is held, rejected, unknown, expired
    _text("hold", null=True),  # who or what lets go of it: see wellkept.store.outbox.Hold
    _int("not_before", null=True),
    _int("expires_at", null=True),
    _int("attempts", default="0"),
    _int("planned_at"),
    _int("approved_at", null=True),
    _int("first_sent_at", null=True),
    _int("claimed_at", null=True),
    _text("claimed_by", null=True),  # the run
    _int("settled_at", null=True),
    _text("ref", null=True),
    _text("prior", null=True),
    _int("told", default="0"),  # the policy has learnt how it ended
    UniqueConstraint("key"),
    Index("outbox_by_state", "state", "capability", "seq"),
    Index("outbox_by_target", "instance", "target_id", "capability"),
    Index("outbox_by_run", "run_id"),
    Index("outbox_by_account", "account"),
    Index("outbox_untold", "policy", "told"),
)

_table(
    "pushed",
    _text("instance", key=True),
    _text("capability", key=True),
    _text("target_type", key=True),
    _text("target_id", key=True),
    _text("field", key=True),
    _text("value"),  # JSON: what the vendor accepted, or what stood there when priming
    _text("effect_key", null=True),
    _int("at"),
)
"""Fingerprints: what the vendor has from us; written only after acceptance."""

_table("suppressions", _text("address_digest", key=True), _text("scope"), _text("reason"), _int("at"))

_table(
    "sent_messages",
    _seq(),
    _text("address_digest"),
    _text("account", null=True),
    _text("purpose"),
    _int("at"),
    Index("sent_messages_by_address", "address_digest", "at"),
)

# --- alerts ----------------------------------------------------------------------------------------------------------------

_table(
    "alerts",
    _seq(),
    _text("condition"),
    _text("subject"),
    _text("severity"),  # critical | warning
    _int("since"),  # as far as is known, when it became so
    _int("opened_at"),
    _text("detail"),
    _int("ended_at", null=True),
    Index("alerts_by_end", "ended_at"),
)
"""Episodes: something was wrong from `opened_at` to `ended_at`. Of a condition and subject at most one is open."""

_table(
    "alert_notices",
    _seq(),
    _int("alert"),
    _text("channel"),  # mail | webhook
    _text("what"),  # opened | ended
    _int("tries", default="0"),
    _int("not_before", default="0"),
    _int("sent_at", null=True),
    _text("note", null=True),  # why the last try failed
    UniqueConstraint("alert", "channel", "what"),
    Index("alert_notices_open", "sent_at", "channel"),
)
"""What is to be told of episodes, and whether it was."""

# --- trust -------------------------------------------------------------------------------------------------------------------

_table(
    "audit",
    _seq(),
    _int("at"),
    _text("kind"),
    _text("subject_digest"),
    _text("body_digest"),
    _text("previous"),
    _text("digest"),
)
"""A hash chain. Bodies stand apart, so that an erasure can remove them and the chain still verifies."""

_table(
    "audit_bodies",
    Column("seq", SEQUENCE, ForeignKey("audit.seq"), primary_key=True, autoincrement=False),
    _text("subject"),
    _text("salt"),  # went into the digests; without it they cannot be guessed back
    _text("body"),
    Index("audit_bodies_by_subject", "subject"),
)

_table("tombstones", _text("digest", key=True), _int("at"))
"""Keyed hashes of erased ids and addresses: rows that match are not stored again."""
