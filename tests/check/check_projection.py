"""G10: a read model holds what a fold of the log says, up to its checkpoint, less what is parked.

The projection under test adds numbers up per stream; a number below zero breaks its table's CHECK,
so the event is parked, and whatever follows in that stream queues behind it. The fold here is done
from the log's events alone, with none of the server's code.
"""

FILE = """-- projection: accounts
-- from: account
-- on-error: park
create table accounts (
  name text primary key, total bigint not null, moves bigint not null, low bigint not null,
  check (low >= 0));
-- on: moved
insert into accounts (name, total, moves, low)
  values (:key, cast(:data ->> 'n' as bigint), 1, cast(:data ->> 'n' as bigint))
  on conflict (name) do update set total = accounts.total + excluded.total,
    moves = accounts.moves + 1, low = excluded.low;
-- query: all
select name, total, moves from accounts order by name;
-- query: parked
select position, stream from mainstem_parked order by position;
"""

# The same in SQLite, with rows of a page each: their notes tell which event was their last one.
NOTE_TIMES = 250
WIDE_FILE = FILE.replace("low bigint not null,", "low bigint not null,\n  note text not null,") \
    .replace("moves, low)\n", "moves, low, note)\n") \
    .replace("'n' as bigint))\n", "'n' as bigint),\n    replace(hex(zeroblob(%d)), '00',"
             " printf('%%d:%%d ', :position, cast(:data ->> 'n' as bigint))))\n" % NOTE_TIMES) \
    .replace("low = excluded.low;", "low = excluded.low, note = excluded.note;")


def fold(events, checkpoint=None):
    """`events`: (position, key, type, n) in log order. Rows by name, and the parked positions."""
    rows, parked, blocked = {}, [], set()
    for position, key, kind, number in events:
        if kind != "moved" or (checkpoint is not None and position >= checkpoint):
            continue
        if key in blocked or number < 0:
            blocked.add(key)
            parked.append(position)
            continue
        total, moves = rows.get(key, (0, 0))
        rows[key] = (total + number, moves + 1)
    return rows, parked


def compare(what, events, checkpoint, rows, parked):
    """`rows`: {name: (total, moves)} as the read model has them. Findings as sentences."""
    want_rows, want_parked = fold(events, checkpoint)
    findings = []
    for name in sorted(set(rows) | set(want_rows)):
        if rows.get(name) != want_rows.get(name):
            findings.append("G10 %s: '%s' is %s, the log says %s" % (
                what, name, rows.get(name), want_rows.get(name)))
    if list(parked) != want_parked:
        missing = sorted(set(want_parked) - set(parked))[:5]
        extra = sorted(set(parked) - set(want_parked))[:5]
        findings.append("G10 %s: parked is not what the log says: missing %s, too many %s" % (
            what, missing, extra))
    return findings


def compare_notes(what, events, checkpoint, notes):
    """`notes`: {name: note} of a WIDE_FILE."""
    parked = set(fold(events, checkpoint)[1])
    want = {key: "%d:%d " % (position, number) for position, key, kind, number in events
            if kind == "moved" and position < checkpoint and position not in parked}
    return ["G10 %s: the note of '%s' begins %r, not %r all over" % (what, name, note[:40],
                                                                    want.get(name))
            for name, note in sorted(notes.items()) if note != want.get(name, "") * NOTE_TIMES]
