/* state.c - the interface for embedders (cairn/engine.h) over the engines. */
#include "cairn/engine.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "state/state_internal.h"
#include "io/clock.h"

enum {
    BACKGROUND_THREADS = 4,      /* one writes, two merge, one commits and removes */
    BACKGROUND_THREADS_BLOB = 6, /* and two put what was written into the blob store */
    BLOB_GRACE_S = 3600,
    INTERVAL_MS = 100,
    LOG_FILE_BYTES = 4 << 20,
    LOG_FILE_BYTES_LEAST = 64 << 10,
    LOG_FILE_BYTES_MAX = 1 << 30,
    BATCH_BYTES_MAX = 64 << 20,
    LOOK_AHEAD = 8,
    PREFETCH_KEYS = 32,
};

#define LOG_BYTES_MAX (UINT64_C(256) << 20)

/* --- opening --- */

static enum cairn_code apply_from_log(void *context, const struct run_record *record, struct cairn_err *err)
{
    size_t value_bytes = run_is_tombstone(record->value) ? 0 : record->value.size;
    enum cairn_code code = levels_ready(context, record->key.size + value_bytes, err);

    if (code == CAIRN_OK)
        levels_apply(context, record);
    return code;
}

static enum cairn_code open_log(struct cairn_state *state, struct cairn_disk *disk, bool threaded,
                                const struct cairn_state_options *o, struct cairn_err *err)
{
    static const enum cairn_sync_mode modes[] = {
        [CAIRN_STATE_LOG_ALWAYS] = CAIRN_SYNC_ALWAYS,
        [CAIRN_STATE_LOG_INTERVAL] = CAIRN_SYNC_INTERVAL,
        [CAIRN_STATE_LOG_NONE] = CAIRN_SYNC_NONE,
    };
    struct state_log_options options = {
        .disk = disk,
        .clock = cairn_clock_system(),
        .interval_ms = o->interval_ms ? o->interval_ms : INTERVAL_MS,
        .segment_bytes = o->log_file_bytes ? o->log_file_bytes : LOG_FILE_BYTES,
        .threaded = threaded,
    };
    enum cairn_code code;

    if (o->log_file_bytes && (o->log_file_bytes < LOG_FILE_BYTES_LEAST || o->log_file_bytes > LOG_FILE_BYTES_MAX))
        return cairn_fail(err, CAIRN_EINVAL, "log_file_bytes must be from %d to %d", LOG_FILE_BYTES_LEAST,
                          LOG_FILE_BYTES_MAX);
    if ((unsigned)o->log >= sizeof modes / sizeof *modes)
        return cairn_fail(err, CAIRN_EINVAL, "there is no kind of log %d", (int)o->log);
    if (o->log == CAIRN_STATE_LOG_OFF) /* what an earlier one has is state as well */
        return state_log_read(&options, versions_branch(levels_versions(state->levels)), levels_sequence(state->levels),
                              apply_from_log, state->levels, err);
    options.sync = modes[o->log];
    state->log_bytes_max = o->log_bytes_max ? o->log_bytes_max : LOG_BYTES_MAX;
    code = state_log_open(&options, &state->log, err);
    if (code == CAIRN_OK)
        code = state_log_start(state->log, versions_branch(levels_versions(state->levels)),
                               levels_sequence(state->levels), apply_from_log, state->levels, err);
    if (code == CAIRN_OK)
        state->version_at = state_log_end(state->log) - state_log_retained(state->log);
    return code;
}

static enum cairn_code open_with(struct cairn_state *state, size_t engine, struct cairn_disk *disk,
                                 struct cairn_tasks *tasks, const struct cairn_state_options *o, struct cairn_err *err)
{
    struct levels_options *levels = &state->choice.levels;
    enum cairn_code code = choice_make(engine, o, true, &state->choice, err);

    if (code != CAIRN_OK)
        return code;
    levels->remote = state->remote;
    levels->remote_grace_ms = (o->blob_grace_s ? o->blob_grace_s : BLOB_GRACE_S) * UINT64_C(1000);
    levels->progress = &state->progress;
    return levels_open(disk, tasks, levels, o->version, &state->levels, err);
}

/* With no engine given it is the folder's, which the others refuse. */
static enum cairn_code open_on(struct cairn_state *state, struct cairn_disk *disk, struct cairn_tasks *tasks,
                               bool threaded, const struct cairn_state_options *o, struct cairn_err *err)
{
    size_t engine;
    enum cairn_code code = choice_find(o->engine, &engine, err);

    if (code == CAIRN_OK && engine < CHOICE_ENGINES) {
        code = open_with(state, engine, disk, tasks, o, err);
    } else if (code == CAIRN_OK) {
        for (engine = 0; engine < CHOICE_ENGINES; engine++) {
            code = open_with(state, engine, disk, tasks, o, err);
            if (code != CAIRN_ECONFLICT)
                break;
        }
    }
    return code == CAIRN_OK ? open_log(state, disk, threaded, o, err) : code;
}

/* As the caller's header has it, which may know of less than this one. */
static struct cairn_state_options options_of(const struct cairn_state_options *from)
{
    struct cairn_state_options options = {0};

    if (from)
        memcpy(&options, from,
               from->options_bytes && from->options_bytes < sizeof options ? from->options_bytes : sizeof options);
    return options;
}

enum cairn_code state_open_on(struct cairn_disk *disk, struct cairn_tasks *tasks, struct cairn_blob *blob,
                              const struct cairn_state_options *options, struct cairn_state **ret_state,
                              struct cairn_err *err)
{
    struct cairn_state *state = cairn_alloc_zeroed(1, sizeof *state);
    struct cairn_state_options o = options_of(options);
    enum cairn_code code = blob ? remote_open(blob, NULL, false, &state->remote, err) : CAIRN_OK;

    if (code == CAIRN_OK)
        code = open_on(state, disk, tasks, false, &o, err);
    if (code == CAIRN_OK)
        *ret_state = state;
    else
        cairn_state_close(state);
    return code;
}

enum cairn_code cairn_state_open(const char *folder, const struct cairn_state_options *options,
                                 struct cairn_state **ret_state, struct cairn_err *err)
{
    struct cairn_state_options whole = options_of(options), *o = &whole;
    struct cairn_state *state = cairn_alloc_zeroed(1, sizeof *state);
    size_t engine;
    enum cairn_code code = choice_find(o->engine, &engine, err); /* before a folder is made for it */

    if (code == CAIRN_OK)
        code = cairn_disk_open(folder, &state->disk, err);
    if (code == CAIRN_OK)
        code = state->disk->ops->lock(state->disk, err);
    if (code == CAIRN_OK) {
        state->tasks = cairn_tasks_create(o->blob ? BACKGROUND_THREADS_BLOB : BACKGROUND_THREADS);
        state->progress = (struct cairn_blob_progress){o->progress, o->progress_context};
        if (o->blob)
            code = cairn_blob_open(o->blob, &state->blob, err);
        if (code == CAIRN_OK && o->blob)
            code = cairn_blob_check_apart(state->blob, folder, err);
        if (code == CAIRN_OK && o->blob)
            code = remote_open(state->blob, NULL, false, &state->remote, err);
    }
    if (code == CAIRN_OK)
        code = open_on(state, state->disk, state->tasks, true, o, err);
    if (code == CAIRN_OK)
        *ret_state = state;
    else
        cairn_state_close(state);
    return code;
}

struct cairn_state *cairn_state_close(struct cairn_state *state)
{
    struct cairn_err ignored;

    if (!state)
        return NULL;
    state_log_close(state->log, &ignored); /* what was awaited is there already */
    levels_close(state->levels);
    remote_close(state->remote);
    cairn_blob_close(state->blob);
    cairn_tasks_destroy(state->tasks);
    if (state->disk)
        cairn_disk_close(state->disk);
    free(state);
    return NULL;
}

static enum cairn_code check_key(size_t key_bytes, struct cairn_err *err)
{
    if (key_bytes == 0 || key_bytes > CAIRN_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "a key has 1 to %d bytes, not %zu", CAIRN_KEY_BYTES_MAX, key_bytes);
    return CAIRN_OK;
}

enum cairn_code cairn_state_get(struct cairn_state *state, const void *key, size_t key_bytes, bool *ret_found,
                                const void **ret_value, size_t *ret_value_bytes, struct cairn_err *err)
{
    struct cairn_bytes value, of = cairn_bytes(key, key_bytes);
    enum cairn_code code = check_key(key_bytes, err);

    if (code == CAIRN_OK)
        code = levels_get(state->levels, of, cairn_hash(of), ret_found, &value, err);
    if (code == CAIRN_OK && *ret_found) {
        *ret_value = value.data;
        *ret_value_bytes = value.size;
    }
    return code;
}

void cairn_state_prefetch(struct cairn_state *state, const struct cairn_state_key *keys, size_t count)
{
    uint64_t hashes[PREFETCH_KEYS];

    if (count > PREFETCH_KEYS)
        count = PREFETCH_KEYS;
    for (size_t i = 0; i < count; i++) {
        hashes[i] = cairn_hash(cairn_bytes(keys[i].key, keys[i].key_bytes));
        levels_prefetch(state->levels, hashes[i], 0);
    }
    for (size_t i = 0; i < count; i++)
        levels_prefetch(state->levels, hashes[i], 1);
}

/* --- writing --- */

/* Takes over an automatic snapshot that has ended. */
static void end_automatic(struct cairn_state *state)
{
    struct cairn_err ignored; /* the log is kept, and it is tried again */
    uint64_t number;

    if (levels_snapshot_end(state->levels, &number, &ignored) == CAIRN_OK) {
        state->version_at = state->snapshot_at;
        state_log_trim(state->log, state->version_at);
    }
    state->snapshot_automatic = false;
}

/* The log is kept short: a version of the present state, which the caller did not ask for, lets it be trimmed. */
static void bound_log(struct cairn_state *state)
{
    struct cairn_clock *clock = cairn_clock_system();
    struct cairn_version_options options = {.automatic = true};
    struct cairn_err ignored;

    if (state->snapshot_automatic && levels_snapshot_is_done(state->levels))
        end_automatic(state);
    if (state->snapshot_automatic || state->snapshot_begun ||
        state_log_end(state->log) - state->version_at < state->log_bytes_max)
        return;
    options.time_ms = clock->wall_ms(clock);
    state->snapshot_at = state_log_end(state->log);
    state->snapshot_automatic = levels_snapshot_begin(state->levels, &options, &ignored) == CAIRN_OK;
}

/* One change, without a batch around it in memory. */
struct change {
    struct cairn_bytes key, value;
};

static struct change change_of(const struct cairn_state_change *from)
{
    return (struct change){cairn_bytes(from->key, from->key_bytes),
                           from->removes ? run_tombstone() : cairn_bytes(from->value, from->value_bytes)};
}

static enum cairn_code check(const struct cairn_state_change *changes, size_t count, size_t *ret_bytes,
                             struct cairn_err *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        enum cairn_code code = check_key(changes[i].key_bytes, err);

        if (code != CAIRN_OK)
            return code;
        bytes += changes[i].key_bytes;
        if (changes[i].removes)
            continue;
        if (changes[i].value_bytes > CAIRN_VALUE_BYTES_MAX)
            return cairn_fail(err, CAIRN_ELIMIT, "a value has at most %d bytes, not %zu", CAIRN_VALUE_BYTES_MAX,
                              changes[i].value_bytes);
        bytes += changes[i].value_bytes;
        if (bytes > BATCH_BYTES_MAX && count > 1)
            return cairn_fail(err, CAIRN_ELIMIT, "a batch of several changes has at most %d bytes of keys and values",
                              BATCH_BYTES_MAX);
    }
    *ret_bytes = bytes;
    return CAIRN_OK;
}

/* What applying the first changes needs is fetched from memory while the log takes them. */
static void look_ahead(const struct cairn_state *state, const struct cairn_state_change *changes, size_t count,
                       int depth)
{
    for (size_t i = 0; i < count && i < LOOK_AHEAD; i++)
        levels_prefetch(state->levels, cairn_hash(cairn_bytes(changes[i].key, changes[i].key_bytes)), depth);
}

static enum cairn_code log_changes(struct cairn_state *state, const struct cairn_state_change *changes, size_t count,
                                   uint64_t *ret_ticket, struct cairn_err *err)
{
    enum cairn_code code = versions_check_certain(levels_versions(state->levels), err);

    if (code != CAIRN_OK)
        return code; /* of which branch is it? */
    look_ahead(state, changes, count, 0);
    state_log_begin(state->log, versions_branch(levels_versions(state->levels)), levels_sequence(state->levels), count);
    for (size_t i = 0; i < count; i++) {
        struct change change = change_of(&changes[i]);

        state_log_add(state->log, change.key, change.value);
    }
    look_ahead(state, changes, count, 1);
    return state_log_append(state->log, ret_ticket, err);
}

enum cairn_code cairn_state_write(struct cairn_state *state, const struct cairn_state_change *changes, size_t count,
                                  uint64_t *ret_ticket, struct cairn_err *err)
{
    uint64_t ticket = 0;
    size_t bytes = 0;
    enum cairn_code code = check(changes, count, &bytes, err);

    if (code == CAIRN_OK)
        code = levels_ready(state->levels, bytes, err);
    if (code == CAIRN_OK && state->log && count)
        code = log_changes(state, changes, count, &ticket, err);
    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        struct change change = change_of(&changes[i]);

        levels_apply(state->levels, &(struct run_record){cairn_hash(change.key), change.key, change.value});
    }
    if (state->log)
        bound_log(state);
    if (!ret_ticket)
        return cairn_state_await(state, ticket, err);
    *ret_ticket = ticket;
    return CAIRN_OK;
}

enum cairn_code cairn_state_await(struct cairn_state *state, uint64_t ticket, struct cairn_err *err)
{
    if (!state->log)
        return CAIRN_OK;
    if (ticket > state_log_end(state->log))
        return cairn_fail(err, CAIRN_EINVAL, "no batch has that ticket");
    return state_log_await(state->log, ticket, err);
}

enum cairn_code cairn_state_put(struct cairn_state *state, const void *key, size_t key_bytes, const void *value,
                                size_t value_bytes, struct cairn_err *err)
{
    struct cairn_state_change change = {.key = key, .key_bytes = key_bytes, .value = value, .value_bytes = value_bytes};
    struct cairn_bytes of = cairn_bytes(key, key_bytes);
    enum cairn_code code;

    if (state->log || check_key(key_bytes, err) != CAIRN_OK || value_bytes > CAIRN_VALUE_BYTES_MAX)
        return cairn_state_write(state, &change, 1, NULL, err);
    /* The same in short: one change, and no log. */
    code = levels_ready(state->levels, key_bytes + value_bytes, err);
    if (code == CAIRN_OK)
        levels_apply(state->levels, &(struct run_record){cairn_hash(of), of, cairn_bytes(value, value_bytes)});
    return code;
}

enum cairn_code cairn_state_remove(struct cairn_state *state, const void *key, size_t key_bytes, struct cairn_err *err)
{
    struct cairn_state_change change = {.key = key, .key_bytes = key_bytes, .removes = true};

    return cairn_state_write(state, &change, 1, NULL, err);
}

struct visit {
    bool (*each)(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes);
    void *context;
};

static bool visit_one(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct visit *visit = context;

    return visit->each(visit->context, key.data, key.size, value.data, value.size);
}

enum cairn_code cairn_state_visit(struct cairn_state *state,
                                  bool (*each)(void *context, const void *key, size_t key_bytes, const void *value,
                                               size_t value_bytes),
                                  void *context, struct cairn_err *err)
{
    struct visit visit = {each, context};

    return levels_visit(state->levels, visit_one, &visit, err);
}

/* --- versions --- */

/* What needs the versions for itself waits for an automatic snapshot. */
static void finish_automatic(struct cairn_state *state)
{
    if (state->snapshot_automatic)
        end_automatic(state);
}

enum cairn_code cairn_state_snapshot_begin(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                           struct cairn_err *err)
{
    struct cairn_clock *clock = cairn_clock_system();
    struct cairn_version_options options = {.time_ms = clock->wall_ms(clock),
                                            .metadata = cairn_bytes(metadata, metadata_bytes)};
    enum cairn_code code;

    finish_automatic(state);
    code = levels_snapshot_begin(state->levels, &options, err);
    if (code == CAIRN_OK) {
        state->snapshot_begun = true;
        state->snapshot_at = state->log ? state_log_end(state->log) : 0;
    }
    return code;
}

bool cairn_state_snapshot_is_done(struct cairn_state *state)
{
    return !state->snapshot_begun || levels_snapshot_is_done(state->levels);
}

enum cairn_code cairn_state_snapshot_end(struct cairn_state *state, uint64_t *ret_version, struct cairn_err *err)
{
    enum cairn_code code;

    if (!state->snapshot_begun)
        return cairn_fail(err, CAIRN_ECONFLICT, "no snapshot was begun");
    state->snapshot_begun = false;
    code = levels_snapshot_end(state->levels, ret_version, err);
    if (code == CAIRN_OK && state->log) {
        state->version_at = state->snapshot_at;
        state_log_trim(state->log, state->version_at);
    }
    return code;
}

enum cairn_code cairn_state_snapshot(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                     uint64_t *ret_version, struct cairn_err *err)
{
    enum cairn_code code = cairn_state_snapshot_begin(state, metadata, metadata_bytes, err);

    return code == CAIRN_OK ? cairn_state_snapshot_end(state, ret_version, err) : code;
}

/* The newest that was asked for on the way to where the state is. */
static uint64_t current_version(struct cairn_state *state)
{
    const struct version *current = versions_current(levels_versions(state->levels));

    if (!current)
        return 0;
    return current->automatic ? current->parent : current->number;
}

void cairn_state_versions(struct cairn_state *state,
                          bool (*each)(void *context, const struct cairn_state_version *version), void *context)
{
    const struct versions *versions = levels_versions(state->levels);
    const struct version *version;
    uint64_t current = current_version(state);

    for (size_t i = 0; (version = versions_at(versions, i)); i++) {
        struct cairn_state_version told = {
            .number = version->number,
            .parent = version->parent,
            .time_ms = version->time_ms,
            .current = version->number == current,
            .pinned = version->pinned,
            .metadata = version->metadata.data,
            .metadata_bytes = version->metadata.size,
        };

        if (version->automatic)
            continue;
        for (size_t j = 0; j < version->run_count; j++)
            told.bytes += version->runs[j].bytes;
        if (!each(context, &told))
            return;
    }
}

static enum cairn_code check_version(struct cairn_state *state, uint64_t number, struct cairn_err *err)
{
    const struct version *version = versions_find(levels_versions(state->levels), number);

    if (!version || version->automatic)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64, number);
    if (state->snapshot_begun)
        return cairn_fail(err, CAIRN_ECONFLICT, "a snapshot is being made");
    return CAIRN_OK;
}

enum cairn_code cairn_state_restore(struct cairn_state *state, uint64_t version, struct cairn_err *err)
{
    enum cairn_code code;

    finish_automatic(state);
    if (!version)
        version = current_version(state);
    if (!version)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version yet");
    code = check_version(state, version, err);
    if (code == CAIRN_OK)
        code = levels_restore(state->levels, version, err);
    if (code == CAIRN_OK && state->log) { /* the branch is another now: nothing before counts */
        state->version_at = state_log_end(state->log);
        state_log_trim(state->log, state->version_at);
    }
    return code;
}

enum cairn_code cairn_state_pin(struct cairn_state *state, uint64_t version, bool pinned, struct cairn_err *err)
{
    enum cairn_code code;

    finish_automatic(state);
    code = check_version(state, version, err);
    return code == CAIRN_OK ? versions_pin(levels_versions(state->levels), version, pinned, err) : code;
}

enum cairn_code cairn_state_forget(struct cairn_state *state, uint64_t version, struct cairn_err *err)
{
    enum cairn_code code;

    finish_automatic(state);
    code = check_version(state, version, err);
    if (code == CAIRN_OK && version == current_version(state))
        return cairn_fail(err, CAIRN_ECONFLICT, "version %" PRIu64 " is the one that the store is at", version);
    return code == CAIRN_OK ? levels_forget(state->levels, version, err) : code;
}

enum cairn_code cairn_state_retain(struct cairn_state *state, const struct cairn_state_retention *rule,
                                   uint64_t *ret_forgotten, struct cairn_err *err)
{
    const struct versions *versions = levels_versions(state->levels);
    uint64_t current = current_version(state), forgotten = 0, interval = UINT64_MAX;
    unsigned last = 0, intervals = 0;
    struct cairn_buf numbers = {0}; /* u64 each */
    const struct version *version;
    size_t count = 0;
    enum cairn_code code = CAIRN_OK;

    while ((version = versions_at(versions, count)))
        count++;
    while (count-- > 0) { /* from the newest on */
        bool first, is_last, is_of_interval;

        version = versions_at(versions, count);
        if (version->automatic || !version->engine[0]) /* the second: it cannot be read */
            continue;
        first = rule->interval_ms && version->time_ms / rule->interval_ms != interval;
        if (first)
            interval = version->time_ms / rule->interval_ms;
        is_last = last++ < rule->last; /* the current one and pinned ones count as well */
        is_of_interval = first && intervals++ < rule->intervals;
        if (!is_last && !is_of_interval && version->number != current && !version->pinned)
            ids_add(&numbers, version->number);
    }
    for (size_t at = 0; code == CAIRN_OK && at < numbers.size; at += 8, forgotten++)
        code = cairn_state_forget(state, cairn_get_u64(numbers.data + at), err);
    cairn_buf_done(&numbers);
    if (code == CAIRN_OK)
        *ret_forgotten = forgotten;
    return code;
}

enum cairn_code cairn_state_collect(struct cairn_state *state, uint64_t *ret_bytes, struct cairn_err *err)
{
    return levels_collect(state->levels, ret_bytes, err);
}

void cairn_state_get_stats(struct cairn_state *state, struct cairn_state_stats *ret_stats)
{
    struct levels_stats stats;

    levels_stats(state->levels, &stats);
    *ret_stats = (struct cairn_state_stats){
        .memory_bytes = stats.front_bytes + stats.run_memory_bytes,
        .disk_bytes = stats.run_bytes,
        .files = stats.run_count,
        .flushes = stats.flushes,
        .merges = stats.merges,
        .merged_bytes = stats.merged_bytes,
    };
}
