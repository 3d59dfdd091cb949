/* How far groups are behind; see lag.h. */
#include "group/lag.h"

void ms_group_lag_measure(struct ms_store *store, struct ms_group_lag *lag,
                          const struct ms_group_lag *last) {
    struct ms_partition_state state;
    bool same = last != NULL && last->place != NULL && ms_bytes_equal(last->topic, lag->topic);
    lag->place = same ? last->place : ms_store_topic(store, lag->topic, false);
    lag->end = lag->lag = lag->age_ms = -1;
    if (lag->place == NULL || lag->partition < 0 ||
        ms_store_partition_state(store, lag->place, (uint32_t)lag->partition, &state) != 0) {
        lag->place = NULL;
        return;
    }
    int64_t from = lag->offset > state.start_offset ? lag->offset : state.start_offset;
    lag->end = state.end_offset;
    lag->lag = state.end_offset > from ? state.end_offset - from : 0;
}

int ms_group_lag_date(struct ms_partition_reader *reader, struct ms_group_lag *lag, int64_t now_ms,
                      struct ms_error *err) {
    int64_t time_ms = -1;
    if (lag->place == NULL)
        return 0;
    if (lag->lag > 0) {
        int rc = ms_store_commit_time(reader, lag->place, (uint32_t)lag->partition, lag->offset,
                                      &time_ms, err);
        if (rc != 0)
            return rc == MS_ENOTFOUND ? 0 : rc; /* deleted meanwhile */
    }
    lag->age_ms = time_ms >= 0 && time_ms < now_ms ? now_ms - time_ms : 0;
    return 0;
}

enum ms_group_code ms_group_lags(struct ms_store *store, struct ms_groups *groups,
                                 struct ms_bytes group, struct ms_arena *arena,
                                 struct ms_group_lag **ret_lags, size_t *ret_count) {
    struct ms_group_offset *offsets;
    size_t count;
    enum ms_group_code code = ms_groups_fetch_all(groups, group, false, arena, &offsets, &count);
    if (code != MS_GROUP_OK)
        return code;
    struct ms_group_lag *lags = ms_arena_alloc(arena, (count + 1) * sizeof *lags);
    if (lags == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    for (size_t i = 0; i < count; i++) {
        lags[i] = (struct ms_group_lag){.topic = offsets[i].topic,
                                        .partition = offsets[i].partition,
                                        .offset = offsets[i].offset,
                                        .metadata = offsets[i].metadata,
                                        .commit_time_ms = offsets[i].commit_time_ms};
        ms_group_lag_measure(store, &lags[i], i > 0 ? &lags[i - 1] : NULL);
    }
    *ret_lags = lags;
    *ret_count = count;
    return MS_GROUP_OK;
}

int64_t ms_group_lag_sum(const struct ms_group_lag *lags, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += lags[i].lag > 0 ? lags[i].lag : 0;
    return sum;
}
