"""The planted bugs: (name, file, what stands there once, what is put in its place, unit tests of
which at least one must fail). Each is a mistake that a change could make. See run."""

LOCAL = "src/log/engine_local.c"
RECOVERY = "src/log/recovery.c"
SCAN = "src/log/scan.c"
COMMITTER = "src/log/committer.c"
SEQUENCER = "src/log/sequencer.c"
CURSOR = "src/log/cursor.c"
CONDITIONS = "src/store/conditions.c"

BUGS = [
    # ---- durability ----
    ("direct writes are not synced", LOCAL,
     "flags |= MS_OPEN_DIRECT | MS_OPEN_DSYNC;", "flags |= MS_OPEN_DIRECT;",
     ["log/log_power"]),
    ("buffered writes are not synced", LOCAL,
     "if (rc == 0 && sync && !synced_by_write)", "if (rc == 0 && sync && synced_by_write)",
     ["log/log_power"]),
    ("a new segment's name is not synced", LOCAL,
     "return rc == 0 ? ms_vfs_sync_dir(log->env->vfs, log->dir, err) : rc;", "return rc;",
     ["log/log_power"]),
    ("a failed write is acknowledged", COMMITTER,
     "int rc = log->engine->ops->append(log->engine, group->first, &error);",
     "int rc = log->engine->ops->append(log->engine, group->first, &error);\n    rc = 0;",
     ["log/log_faults"]),
    ("after a failed write the log goes on", COMMITTER,
     "        ms_log_poison(log, &error);\n        return;", "        return;",
     ["log/log_faults", "log/log"]),
    ("appends are acknowledged before they can be read", COMMITTER,
     "    atomic_store_explicit(&log->end, group->end, memory_order_release);\n"
     "    finish_tickets(group->tickets, 0);",
     "    finish_tickets(group->tickets, 0);\n"
     "    atomic_store_explicit(&log->end, group->end, memory_order_release);",
     ["log/log", "log/log_threads", "store/store"]),
    ("prepared space counts before it is synced", "src/log/keeper.c",
     "    if (rc == 0)\n        rc = ms_file_sync(file, err);\n    ms_file_close(file);\n"
     "    if (rc == 0)\n        atomic_store_explicit(&segment->ready_bytes",
     "    ms_file_close(file);\n"
     "    if (rc == 0)\n        atomic_store_explicit(&segment->ready_bytes",
     ["log/log_power"]),
    ("zeros are prepared from where the file ends", "src/log/keeper.c",
     "return ready > blocks_end ? ready : blocks_end;", "return ready;",
     ["log/log_faults", "log/log_power", "log/recovery", "store/faults"]),
    ("what recovery keeps is not synced", RECOVERY,
     "    if (rc == 0)\n        rc = ms_file_sync(file, err);\n    ms_file_close(file);\n"
     "    if (rc == 0)\n        rc = ms_vfs_sync_dir(log->env->vfs, log->dir, err);",
     "    ms_file_close(file);\n"
     "    if (rc == 0)\n        rc = ms_vfs_sync_dir(log->env->vfs, log->dir, err);",
     ["log/log_power"]),
    ("a torn tail is not cut", RECOVERY,
     "    if (log->recovered_torn_tail) {", "    if (log->recovered_torn_tail && false) {",
     ["log/recovery", "log/log_power"]),
    # ---- torn or damaged ----
    ("damage is taken for a torn tail", RECOVERY,
     "return e->blocks && e->synced_through > expected;",
     "return e->blocks && e->synced_through > expected + 1;", ["log/recovery"]),
    ("a torn tail is taken for damage", RECOVERY,
     "return e->blocks && e->synced_through > expected;",
     "return e->blocks && e->synced_through >= expected;", ["log/recovery", "log/log_power"]),
    ("blocks claim that they are durable themselves", SEQUENCER,
     ".synced_through = log->synced_through,", ".synced_through = block->sequence + 1,",
     ["log/log_power"]),
    ("nobody looks at what the index knows", RECOVERY,
     ".missing = misses(recovery)};", ".missing = false};",
     ["log/known_end", "store/missing_end"]),
    ("the chain of hashes is not followed", SCAN,
     "                                memcmp(&header->previous_hash, &chain->hash, 16) == 0);",
     "                                true);", ["log/recovery"]),
    ("an epoch is used twice", RECOVERY,
     "log->epoch = chain->epoch + 1;", "log->epoch = chain->epoch > 0 ? chain->epoch : 1;",
     ["log/recovery", "log/marks", "log/log"]),
    ("a segment of marks gets a namesake", RECOVERY,
     "    return atomic_load(&segment->end_offset) > ms_log_room_to_spare(&log->options) / 2 ||",
     "    return atomic_load(&segment->end_offset) > UINT32_MAX ||", ["log/marks"]),
    ("events read from a file are not checked", CURSOR,
     "rc = give_entry(cursor, &header, payload, !cursor->from_tail, ret_entry, err);",
     "rc = give_entry(cursor, &header, payload, false, ret_entry, err);",
     ["log/cursor", "log/recovery", "log/log"]),
    ("blocks may stand in any order", CURSOR,
     "                                      : first_position == cursor->expected;",
     "                                      : first_position >= cursor->expected;",
     ["log/cursor"]),
    # ---- order and time ----
    ("commit time goes back with the clock", SEQUENCER,
     "    if (now > log->last_commit_time_ms)\n", "    if (now != log->last_commit_time_ms)\n",
     ["log/log"]),
    ("the scavenger removes before it is durable why", "src/log/rewrite.c",
     "    rc = wait_until_durable(r->log, err);\n    return rc == 0 ? replace_old(r, err) : rc;",
     "    return replace_old(r, err);", ["log/rewrite", "store/scavenge"]),
    ("restoring cuts an atomic append in two", "src/log/cut.c",
     "        if (!(entry.header.flags & MS_ENTRY_JOINED))\n", "        if (true)\n",
     ["log/cut", "store/backup"]),
    # ---- conditions and resends ----
    ("an exact version is a least version", CONDITIONS,
     "return head->version >= 0 && head->version == condition->version;",
     "return head->version >= 0 && head->version >= condition->version;",
     ["store/conditions", "store/model"]),
    ("a tombstone can be appended to", CONDITIONS,
     "    if (state == MS_STREAM_TOMBSTONED)\n        return false;\n    switch",
     "    switch", ["store/conditions", "store/model"]),
    ("a refusal does not wait for what it has seen", "src/store/append.c",
     "*ret_answer = !ms_log_attach_reader(op->store->log, read, &op->ticket);",
     "*ret_answer = true;", ["store/conditions", "store/repeat"]),
    ("the same id with other data is a resend", "src/store/repeat.c",
     "    return sent->data_is_null == stored->data_is_null && ms_bytes_equal(sent->data, "
     "stored->data) &&\n", "    return\n", ["store/repeat", "store/model"]),
    ("a resend is looked for one version too late", CONDITIONS,
     "first = part->condition.version + 1;", "first = part->condition.version + 2;",
     ["store/repeat", "store/model"]),
    ("heads that the index lacks are evicted", "src/store/heads.c",
     "if (head == NULL || !head->used || head->end_position > applied)",
     "if (head == NULL || !head->used)", ["store/heads"]),
    ("a query condition looks one event too far back", "src/store/query.c",
     "return query->after < UINT64_MAX ? query->after + 1 : UINT64_MAX;",
     "return query->after;", ["store/query", "store/model"]),
    ("a query condition forgets what is in flight", "src/store/query.c",
     "        if (search_ring(terms, query, from, &position)) {",
     "        if (false && search_ring(terms, query, from, &position)) {", ["store/query"]),
    # ---- reading ----
    ("truncated events are still read", "src/store/read_stream.c",
     "int64_t first = rules->truncate_before;", "int64_t first = 0;",
     ["store/metadata", "store/model"]),
    ("as_of leaves out its very moment", "src/store/read_stream.c",
     "return event->event.timestamp_ms <= travel->time_ms;",
     "return event->event.timestamp_ms < travel->time_ms;", ["store/read", "store/model"]),
    # ---- the index ----
    ("a flushed append is found twice", "src/index/lookup_stream.c",
     "        if (append.position < base)\n", "        if (append.position <= base)\n",
     ["index/flusher"]),
    ("the index says it has more than it has", "src/index/flush.c",
     "ms_put_be64(value, flush->overlay->next);", "ms_put_be64(value, flush->overlay->next + 1);",
     ["index/index", "index/model", "store/store"]),
]
