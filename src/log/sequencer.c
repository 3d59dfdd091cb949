/*
 * The sequencer: packs entries into the open block, in memory, under the log's lock.
 *
 *   open block --ms_sequencer_seal_open--> sealed queue --committer--> committing --> tail
 *
 * It does no I/O and cannot fail once ms_log_admit has said yes: space in the segment, memory for
 * the block and room in the block were all secured there. Positions, block sequence, file offsets
 * and the hash chain are assigned here and nowhere else.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "log/internal.h"
#include "wire/batch.h"

/* Kept back at the end of a segment while no next one is ready, and at the end of what is prepared
 * while the disk is full: for what frees space. */
#define RESERVE_FRACTION 16u
#define RESERVE_BYTES_MAX ((uint64_t)1 << 20)

void ms_log_lock(struct ms_log *log) { pthread_mutex_lock(&log->mutex); }

void ms_log_unlock(struct ms_log *log) {
    bool wake = log->committer_idle && (log->sealed != NULL || log->open != NULL);
    if (log->gather_target > 0)
        wake = log->sealed != NULL || log->open_tickets >= log->gather_target;
    if (wake) { /* one wake-up is enough */
        log->committer_idle = false;
        log->gather_target = 0;
    }
    pthread_mutex_unlock(&log->mutex);
    if (wake)
        pthread_cond_signal(&log->work);
}

uint64_t ms_log_next_position(const struct ms_log *log) { return log->next_position; }

void ms_log_block_free(struct ms_log_block *block) {
    if (block == NULL)
        return;
    ms_blob_unref(block->chunk);
    ms_segment_unref(block->segment);
    ms_free(block);
}

/* ---- space in segments ---- */

/* What is prepared of a segment, as far as an append may use it. `next_ready`: the next segment can
 * take it as well. */
static uint64_t usable_bytes(const struct ms_log *log, const struct ms_segment *segment,
                             bool reserved, bool next_ready) {
    uint64_t ready = atomic_load_explicit(&segment->ready_bytes, memory_order_acquire);
    uint64_t limit = ready < segment->bytes_max ? ready : segment->bytes_max;
    if (reserved || next_ready)
        return limit;
    uint64_t reserve = segment->bytes_max / RESERVE_FRACTION;
    reserve = reserve < RESERVE_BYTES_MAX ? reserve : RESERVE_BYTES_MAX;
    uint64_t end = log->no_space ? limit : segment->bytes_max;
    uint64_t kept = end > reserve ? (end - reserve) & ~(uint64_t)(MS_BLOCK_ALIGN - 1) : 0;
    return limit < kept ? limit : kept;
}

static bool spare_takes(const struct ms_log *log, uint64_t need, bool reserved) {
    return log->spare != NULL &&
           usable_bytes(log, log->spare, reserved || !log->no_space, false) >= need;
}

static uint64_t room_in_active(const struct ms_log *log, bool reserved, bool spare_ready) {
    uint64_t limit = usable_bytes(log, log->active, reserved, spare_ready);
    return limit > log->active_offset ? limit - log->active_offset : 0;
}

/* The keeper seals it once its last block is durable. Beyond the queue's size it stays unsealed and
 * is scanned at the next start. */
static void retire_active(struct ms_log *log, struct ms_segment *full) {
    bool real = full->named || log->active_offset > 0;
    atomic_store(&full->end_position, log->next_position);
    atomic_store(&full->state, MS_SEGMENT_FULL);
    if (real && log->to_seal_count < MS_LOG_TO_SEAL_MAX)
        log->to_seal[log->to_seal_count++] = ms_segment_ref(full);
    ms_segment_unref(full);
}

/* Makes the spare the active segment; the committer renames its file before its first block. */
static int roll_segment(struct ms_log *log, struct ms_error *err) {
    ms_sequencer_seal_open(log);
    struct ms_segment *spare = log->spare;
    struct ms_segment *full = log->active;
    MS_ASSERT(!spare->named);
    /* Segments are named by their first position, so one without entries can't be followed. Its few
     * marks leave room for the largest append, but for one of very many parts. */
    if (full->bytes_max > 0 && full->first_position == log->next_position)
        return ms_error_set(err, MS_ETOOBIG, "the append does not fit into a segment of %llu bytes",
                            (unsigned long long)full->file_bytes);
    spare->first_position = log->next_position;
    atomic_store(&spare->end_position, log->next_position);
    int rc = ms_log_add_segment(log, spare);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for the table of segments");
    retire_active(log, full);
    log->active = ms_segment_ref(spare);
    log->active_offset = 0;
    log->spare = NULL; /* its reference went to the table */
    pthread_cond_signal(&log->keeper_work);
    return 0;
}

/* Room for `need` bytes of one block in the active segment, rolling to the next or waiting for the
 * keeper. No block is open then. */
static int secure_space(struct ms_log *log, uint64_t need, bool reserved, bool *ret_waited,
                        struct ms_error *err) {
    for (;;) {
        /* Whoever came in while we waited may have opened a block: it takes its room first. */
        ms_sequencer_seal_open(log);
        if ((log->closing && !log->marking) || atomic_load(&log->failed))
            return ms_error_set(err, MS_ECLOSED, "the log has stopped");
        if (log->options.read_only)
            return ms_error_set(err, MS_ECLOSED, "the log is open for reading only");
        bool spare_ready = spare_takes(log, need, reserved);
        if (room_in_active(log, reserved, spare_ready) >= need)
            return 0;
        /* An older segment may be larger than new ones are to be: then it is full. */
        bool fits_active = log->active->bytes_max >= log->active_offset + need;
        if (!fits_active && spare_ready)
            return roll_segment(log, err);
        if (log->no_space && (!log->options.manual || *ret_waited)) {
            ms_counter_add(&log->metrics.space_refusals, 1);
            return ms_error_set(err, MS_ENOSPC, "no disk space for the next segment of the log");
        }
        ms_counter_add(&log->metrics.space_waits, 1);
        log->hungry = true;
        log->wanted = need > log->wanted ? need : log->wanted;
        *ret_waited = true;
        if (log->options.manual) {
            pthread_mutex_unlock(&log->mutex);
            (void)ms_keeper_step(log);
            pthread_mutex_lock(&log->mutex);
        } else {
            if (log->committer_idle && log->sealed != NULL)
                pthread_cond_signal(&log->work);
            pthread_cond_signal(&log->keeper_work);
            pthread_cond_wait(&log->room, &log->mutex);
        }
    }
}

/* ---- blocks ---- */

static uint64_t payload_need(size_t payload_bytes, size_t entry_count) {
    return (uint64_t)payload_bytes + (uint64_t)entry_count * MS_ENTRY_HEADER_LEN;
}

/* A chunk with room for a block of `need` bytes: the current one, a fresh one, or for large appends
 * one of their own size. */
static int secure_chunk(struct ms_log *log, uint64_t need) {
    if (log->chunk != NULL && log->chunk->size - log->chunk_used >= need)
        return 0;
    struct ms_blob *chunk;
    size_t size = need > MS_CHUNK_BYTES ? (size_t)ms_block_padded(need) : MS_CHUNK_BYTES;
    int rc = ms_log_chunk_new(log, size, &chunk);
    if (rc != 0)
        return rc;
    ms_blob_unref(log->chunk);
    log->chunk = chunk;
    log->chunk_used = 0;
    return 0;
}

static int open_block(struct ms_log *log, uint64_t need, bool reserved, struct ms_error *err) {
    struct ms_log_block *block = ms_calloc(1, sizeof *block);
    if (block == NULL || secure_chunk(log, need) != 0) {
        ms_free(block);
        return ms_error_set(err, MS_ENOMEM, "no memory for a block of the log");
    }
    uint64_t capacity = log->chunk->size - log->chunk_used;
    bool spare_ready = spare_takes(log, need, reserved);
    uint64_t room = room_in_active(log, false, spare_ready);
    if (room < need && reserved) {
        room = room_in_active(log, true, spare_ready);
        block->reserved = true;
    }
    block->chunk = ms_blob_ref(log->chunk);
    block->data = log->chunk->data + log->chunk_used;
    block->capacity = (size_t)(capacity < room ? capacity : room);
    block->len = MS_BLOCK_HEADER_LEN;
    block->segment = ms_segment_ref(log->active);
    block->offset = log->active_offset;
    block->first_position = log->next_position;
    block->tickets_end = &block->tickets;
    block->first_anchor = atomic_load_explicit(&log->active->anchor_count, memory_order_relaxed);
    MS_ASSERT(block->capacity >= need);
    log->open = block;
    return 0;
}

int ms_log_admit(struct ms_log *log, size_t payload_bytes, size_t entry_count, bool reserved,
                 bool *ret_waited, struct ms_error *err) {
    *ret_waited = false;
    uint64_t entries = payload_need(payload_bytes, entry_count);
    if (payload_bytes > log->options.append_bytes_max)
        return ms_error_set(err, MS_ETOOBIG, "an append of %zu bytes is larger than %zu",
                            payload_bytes, log->options.append_bytes_max);
    if (log->open != NULL && log->open->capacity - log->open->len >= entries &&
        (reserved || !log->open->reserved) && !log->closing &&
        !atomic_load_explicit(&log->failed, memory_order_relaxed))
        return 0;
    uint64_t need = ms_block_padded(MS_BLOCK_HEADER_LEN + entries);
    int rc = secure_space(log, need, reserved, ret_waited, err);
    return rc != 0 ? rc : open_block(log, need, reserved, err);
}

static void place_anchor(struct ms_log *log, struct ms_log_block *block, size_t size) {
    bool first = block->entry_count == 0;
    if (!first && block->len - block->anchored_at < MS_ANCHOR_EVERY && size < MS_ANCHOR_LARGE)
        return;
    /* The commit time is filled in when the block is sealed; nobody reads the place before. */
    struct ms_anchor_place place = {
        .position = log->next_position,
        .offset = block->offset + (first ? 0 : block->len),
        .epoch = log->epoch,
        .block_start = first,
    };
    ms_segment_anchor(block->segment, &place);
    block->anchored_at = block->len;
}

uint64_t ms_log_put(struct ms_log *log, const struct ms_log_put *put) {
    struct ms_log_block *block = log->open;
    uint64_t position = log->next_position;
    size_t size = MS_ENTRY_HEADER_LEN + put->batch.len;
    MS_ASSERT(block != NULL && block->capacity - block->len >= size && put->record_count > 0);
    place_anchor(log, block, size);
    uint8_t *at = block->data + block->len;
    memcpy(at + MS_ENTRY_HEADER_LEN, put->batch.data, put->batch.len);
    ms_batch_patch(at + MS_ENTRY_HEADER_LEN, put->first_offset, 0);
    struct ms_entry_header header = {
        .length = (uint32_t)put->batch.len,
        .kind = MS_ENTRY_BATCH,
        .flags = put->flags,
        .partition = put->partition,
        .topic = put->topic,
        .first_version = put->stream_id != NULL ? put->first_version : -1,
        .first_position = position,
    };
    if (put->stream_id != NULL) {
        header.flags |= MS_ENTRY_HAS_STREAM;
        memcpy(header.stream_id, put->stream_id, sizeof header.stream_id);
    }
    ms_entry_header_write(&header, block->segment->first_position, log->epoch, at);
    block->last_entry = block->len;
    block->len += size;
    block->entry_count++;
    block->record_count += put->record_count;
    log->next_position += put->record_count;
    return position;
}

void ms_log_attach(struct ms_log *log, struct ms_log_ticket *ticket) {
    MS_ASSERT(log->open != NULL);
    ticket->next = NULL;
    *log->open->tickets_end = ticket;
    log->open->tickets_end = &ticket->next;
    log->open_tickets++;
}

bool ms_log_attach_reader(struct ms_log *log, uint64_t end, struct ms_log_ticket *ticket) {
    if (end <= log->durable_position)
        return false;
    /* A block that was opened and not put to (yet) may never be written. */
    struct ms_log_block *newest =
        log->open != NULL && log->open->entry_count > 0 ? log->open : NULL;
    if (newest == NULL)
        for (struct ms_log_block *block = log->sealed != NULL ? log->sealed : log->committing;
             block != NULL; block = block->next)
            newest = block;
    MS_ASSERT(newest != NULL);
    ticket->next = NULL;
    *newest->tickets_end = ticket;
    newest->tickets_end = &ticket->next;
    return true;
}

/* The last entry says so, for readers that came in through an anchor behind the block's header. */
static void flag_last_entry(struct ms_log *log, struct ms_log_block *block) {
    uint8_t *at = block->data + block->last_entry;
    struct ms_entry_header header;
    int rc = ms_entry_header_read(at, block->len - block->last_entry,
                                  block->segment->first_position, log->epoch, &header);
    MS_ASSERT(rc == 0);
    header.flags |= MS_ENTRY_LAST_IN_BLOCK;
    ms_entry_header_write(&header, block->segment->first_position, log->epoch, at);
}

static uint32_t entries_crc(const struct ms_log_block *block) {
    uint32_t crc = 0;
    for (size_t at = MS_BLOCK_HEADER_LEN; at < block->len;) {
        crc = ms_crc32c(crc, block->data + at, MS_ENTRY_HEADER_LEN);
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(block->data + at + 4);
    }
    return crc;
}

/* Commit time never goes back, whatever the clock does. */
static int64_t commit_time(struct ms_log *log) {
    int64_t now = ms_clock_now_us(log->env->clock) / 1000;
    if (now > log->last_commit_time_ms)
        log->last_commit_time_ms = now;
    return log->last_commit_time_ms;
}

static void date_anchors(struct ms_log_block *block) {
    struct ms_segment *segment = block->segment;
    uint32_t count = atomic_load_explicit(&segment->anchor_count, memory_order_relaxed);
    for (uint32_t i = block->first_anchor; i < count; i++)
        segment->anchors[i].time_and_epoch =
            (uint64_t)block->commit_time_ms << 16 | (segment->anchors[i].time_and_epoch & 0xffff);
}

static void finish_block(struct ms_log *log, struct ms_log_block *block) {
    block->sequence = log->next_sequence++;
    block->commit_time_ms = commit_time(log);
    if (block->entry_count > 0)
        flag_last_entry(log, block);
    date_anchors(block);
    bool os = log->options.durability == MS_DURABILITY_OS;
    struct ms_block_header header = {
        .flags = (uint16_t)(block->flags | (os ? MS_BLOCK_OS : 0)),
        .store_uuid = log->options.store_uuid,
        .shard = log->options.shard,
        .epoch = log->epoch,
        .segment = block->segment->first_position,
        .sequence = block->sequence,
        .first_position = block->first_position,
        .entry_count = block->entry_count,
        .record_count = block->record_count,
        .length = block->len,
        .synced_through = log->synced_through,
        .commit_time_ms = block->commit_time_ms,
        .previous_hash = log->previous_hash,
        .entries_crc = entries_crc(block),
    };
    ms_block_header_write(&header, block->data);
    log->previous_hash = ms_block_hash(block->data);
    size_t padded = (size_t)ms_block_padded(block->len);
    memset(block->data + block->len, 0, padded - block->len);
    log->chunk_used += padded;
    log->active_offset += padded;
    log->pending_bytes += padded;
    block->segment->last_sequence = block->sequence;
    block->segment->last_hash = log->previous_hash;
    block->segment->last_commit_time_ms = block->commit_time_ms;
    block->segment->last_epoch = log->epoch;
    block->segment->last_os = os;
}

static void queue_sealed(struct ms_log *log, struct ms_log_block *block) {
    block->next = NULL;
    *log->sealed_end = block;
    log->sealed_end = &block->next;
}

void ms_sequencer_seal_open(struct ms_log *log) {
    struct ms_log_block *block = log->open;
    if (block == NULL)
        return;
    log->open = NULL;
    log->open_tickets = 0;
    if (block->entry_count == 0) { /* admitted, but then nothing was put */
        MS_ASSERT(block->tickets == NULL);
        ms_log_block_free(block);
        return;
    }
    finish_block(log, block);
    queue_sealed(log, block);
}

int ms_sequencer_mark(struct ms_log *log, uint16_t flags, struct ms_error *err) {
    bool waited = false;
    int rc = secure_space(log, MS_BLOCK_ALIGN, true, &waited, err);
    if (rc == 0)
        rc = open_block(log, MS_BLOCK_ALIGN, true, err);
    if (rc != 0)
        return rc;
    struct ms_log_block *block = log->open;
    log->open = NULL;
    block->flags = flags;
    finish_block(log, block);
    queue_sealed(log, block);
    return 0;
}
