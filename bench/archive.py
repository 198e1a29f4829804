"""Generates a week of a busy bot's data inside PostgreSQL: ten-turn conversations with messages, deliveries and audit.

The texts cannot be decrypted: the generated people have no keys.
"""

from sqlalchemy import text

from dialogue.storage.database import Database

TURNS_EACH = 10

_ID = """
CREATE FUNCTION pg_temp.id(at timestamptz, number bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(number & 4095), 3, '0')
          || '8' || lpad(to_hex(number), 15, '0'))::uuid $$
"""
_TALKS = """
CREATE TEMP TABLE talks AS SELECT
  n, now() - interval '7 days' * (1 - n::float / :count) - interval '40 minutes' AS opened_at,
  (ARRAY['telegram', 'telegram', 'telegram', 'wechat'])[1 + n % 4] AS channel,
  CASE WHEN n % 211 = 0 THEN 3 WHEN n % 47 = 0 THEN 2 WHEN n % 17 = 0 THEN 1 ELSE 0 END AS tier
FROM generate_series(1, :count) n
"""
_PEOPLE = """
INSERT INTO people (id, channel, user_id, created_at, blocked_at)
SELECT pg_temp.id(opened_at, n), channel, (100000000 + n)::text, opened_at, CASE WHEN n % 997 = 0 THEN opened_at END
FROM talks
"""
_CONVERSATIONS = """
INSERT INTO conversations (id, person_id, channel, chat_id, epoch, tier, opened_at, closed_at, closed_by)
SELECT pg_temp.id(opened_at, n), pg_temp.id(opened_at, n), channel, (100000000 + n)::text, 1, tier, opened_at,
  CASE WHEN n % 10 < 7 THEN opened_at + interval '30 minutes' END, CASE WHEN n % 10 < 7 THEN 'person' END
FROM talks
"""
_TURNS = """
INSERT INTO turns (id, conversation_id, seq, state, attempt, rung_at, ring_count, created_at, claimed_at,
  first_token_at, finished_at, prompt_tokens, reply_tokens, model_version, prompt_version, reply, error)
SELECT pg_temp.id(at, n * 16 + seq), pg_temp.id(opened_at, n), seq, state, 1, at, 0, at, at + interval '30 ms',
  CASE WHEN state = 'answered' THEN at + interval '1 second' * (0.3 + random() ^ 3 * 4) END,
  CASE WHEN state IN ('answered', 'failed', 'discarded') THEN at + interval '1 second' * (5 + random() ^ 2 * 25) END,
  300, CASE WHEN state = 'answered' THEN 40 + (random() * 160)::int END, 'MindGLM', 'seed',
  decode(repeat('ab', 200), 'hex'),
  CASE WHEN state = 'failed' THEN 'engine' END
FROM (SELECT t.*, seq, opened_at + interval '3 minutes' * seq AS at,
        CASE WHEN n > :count - 40 AND seq = :turns AND n % 10 >= 7 THEN 'waiting'
             WHEN (n * 16 + seq) % 251 = 0 THEN 'failed' WHEN (n * 16 + seq) % 83 = 0 THEN 'discarded'
             ELSE 'answered' END AS state
      FROM talks t, generate_series(1, :turns) seq) all_turns
"""
_MESSAGES = """
INSERT INTO messages (id, person_id, conversation_id, turn_id, channel, account, external_id, text, sent_at,
  received_at)
SELECT pg_temp.id(at, n * 16 + seq), pg_temp.id(opened_at, n), pg_temp.id(opened_at, n), pg_temp.id(at, n * 16 + seq),
  channel, 'bot', n || ':' || seq, decode(repeat('cd', 90), 'hex'), at, at
FROM (SELECT t.*, seq, opened_at + interval '3 minutes' * seq AS at FROM talks t, generate_series(1, :turns) seq) heard
"""
_DELIVERIES = """
INSERT INTO deliveries (id, person_id, conversation_id, turn_id, part, kind, channel, chat_id, text, state, attempt,
  next_attempt_at, error, created_at, sent_at)
SELECT pg_temp.id(at, n * 16 + seq), pg_temp.id(opened_at, n), pg_temp.id(opened_at, n),
  pg_temp.id(turn_at, n * 16 + seq), 0, 'reply', channel, (100000000 + n)::text, decode(repeat('ef', 200), 'hex'),
  CASE WHEN (n * 16 + seq) % 503 = 0 THEN 'failed' ELSE 'sent' END, 1, at,
  CASE WHEN (n * 16 + seq) % 503 = 0 THEN 'unknown' END, at, at + interval '1 second'
FROM (SELECT t.*, seq, opened_at + interval '3 minutes' * seq AS turn_at,
        opened_at + interval '3 minutes' * seq + interval '20 seconds' AS at
      FROM talks t, generate_series(1, :turns) seq) owed
"""
_AUDIT = """
INSERT INTO audit (id, at, actor, action, person_id, conversation_id, reason)
SELECT pg_temp.id(at, n * 16 + seq), at, CASE WHEN has_alarm THEN 'screening' ELSE 'console:lin' END,
  CASE WHEN has_alarm THEN 'alarm' ELSE 'read' END, pg_temp.id(opened_at, n), pg_temp.id(opened_at, n),
  CASE WHEN has_alarm THEN 'tier ' || tier END
FROM (SELECT t.*, seq, opened_at + interval '3 minutes' * seq AS at, tier > 1 AND seq = 2 AS has_alarm
      FROM talks t, generate_series(1, :turns) seq) noted
"""
_FILLED = ("people", "conversations", "turns", "messages", "deliveries", "audit")


def fill(database: Database, *, turns: int) -> None:
    """Insert about that many turns and all related rows."""
    values = {"count": turns // TURNS_EACH, "turns": TURNS_EACH}
    with database.engine.begin() as connection:
        # references are valid by construction; checking three million of them would take minutes
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SELECT setseed(0.5)"))
        for statement in (_ID, _TALKS, _PEOPLE, _CONVERSATIONS, _TURNS, _MESSAGES, _DELIVERIES, _AUDIT):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in _FILLED:
            connection.execute(text(f"VACUUM ANALYZE {table}"))
