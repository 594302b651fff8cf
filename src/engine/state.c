/* state.c - the interface for embedders (cairn/engine.h) over the engines. */
#include "cairn/engine.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/state_internal.h"
#include "io/clock.h"

enum {
    BACKGROUND_THREADS = 2, /* one writes while the other merges */
    MEMORY_BYTES = 64 << 20,
    MEMTABLE_BYTES = 4 << 20,
    THRESHOLD_BYTES = 4 << 20,
    LEAST_BYTES = 1 << 10, /* of any of these */
};

/* --- the engines: which front over which runs --- */

static size_t or_default(size_t value, size_t default_value)
{
    return value ? value : default_value;
}

static enum cairn_code check_least(const char *name, size_t value, struct cairn_err *err)
{
    if (value < LEAST_BYTES)
        return cairn_fail(err, CAIRN_EINVAL, "%s is %zu and must be at least %d bytes", name, value, LEAST_BYTES);
    return CAIRN_OK;
}

static enum cairn_code set_lsm(struct cairn_state *state, const struct cairn_state_options *o,
                               struct levels_options *levels, struct cairn_err *err)
{
    (void)err;
    state->memtable = (struct memtable_options){.limit_bytes = or_default(o->memtable_bytes_limit, MEMTABLE_BYTES)};
    levels->create_front = memtable_create;
    levels->front_options = &state->memtable;
    levels->density_factor = o->density_factor;
    return CAIRN_OK;
}

static enum cairn_code set_memory(struct cairn_state *state, const struct cairn_state_options *o,
                                  struct levels_options *levels, struct cairn_err *err)
{
    (void)o;
    (void)err;
    state->memtable = (struct memtable_options){.whole = true};
    levels->create_front = memtable_create;
    levels->front_options = &state->memtable;
    levels->whole = true;
    return CAIRN_OK;
}

static enum cairn_code set_hybridlog(struct cairn_state *state, const struct cairn_state_options *o,
                                     struct levels_options *levels, struct cairn_err *err)
{
    struct hybridlog_options *log = &state->hybridlog;
    enum cairn_code code;

    log->mem_segment_len = or_default(o->mem_segment_len, MEMORY_BYTES);
    log->ro_lag_interval = or_default(o->ro_lag_interval, log->mem_segment_len / 10 * 8);
    log->flush_interval = or_default(o->flush_interval, log->mem_segment_len / 16);
    log->keeps = true;
    levels->create_front = hybridlog_create;
    levels->front_options = log;
    levels->order = RUN_BY_HASH;
    code = check_least("mem_segment_len", log->mem_segment_len, err);
    if (code == CAIRN_OK && (log->flush_interval >= log->mem_segment_len ||
                             log->ro_lag_interval >= log->mem_segment_len - log->flush_interval))
        code = cairn_fail(err, CAIRN_EINVAL,
                          "mem_segment_len (%zu) must be greater than ro_lag_interval (%zu) + flush_interval (%zu)",
                          log->mem_segment_len, log->ro_lag_interval, log->flush_interval);
    return code;
}

static enum cairn_code set_appendlog(struct cairn_state *state, const struct cairn_state_options *o,
                                     struct levels_options *levels, struct cairn_err *err)
{
    enum { WAITING = 3 }; /* one gathers, one is written, one waits */
    struct hybridlog_options *log = &state->hybridlog;

    *log = (struct hybridlog_options){.flush_interval = or_default(o->threshold, THRESHOLD_BYTES)};
    log->mem_segment_len = log->flush_interval * WAITING;
    levels->create_front = hybridlog_create;
    levels->front_options = log;
    levels->order = RUN_BY_HASH;
    return check_least("threshold", log->flush_interval, err);
}

static const struct {
    const char *name;
    enum cairn_code (*set)(struct cairn_state *state, const struct cairn_state_options *o,
                           struct levels_options *levels, struct cairn_err *err);
} engines[] = {
    {"hybridlog", set_hybridlog}, /* the first is the default */
    {"appendlog", set_appendlog},
    {"lsm", set_lsm},
    {"memory", set_memory},
};

enum { ENGINES = sizeof engines / sizeof *engines };

/* The engine's number, or with no name ENGINES. */
static enum cairn_code find_engine(const char *name, size_t *ret_engine, struct cairn_err *err)
{
    size_t engine = 0;

    while (engine < ENGINES && (!name || strcmp(name, engines[engine].name) != 0))
        engine++;
    if (name && engine == ENGINES)
        return cairn_fail(err, CAIRN_EINVAL, "there is no engine '%s'; there are: hybridlog, appendlog, lsm, memory",
                          name);
    *ret_engine = engine;
    return CAIRN_OK;
}

static enum cairn_code open_with(struct cairn_state *state, size_t engine, struct cairn_disk *disk,
                                 struct cairn_tasks *tasks, const struct cairn_state_options *o, struct cairn_err *err)
{
    struct levels_options levels = {
        .engine = engines[engine].name, .max_runs_per_level = o->max_runs_per_level, .filter_bits = o->filter_bits};
    enum cairn_code code = engines[engine].set(state, o, &levels, err);

    return code == CAIRN_OK ? levels_open(disk, tasks, &levels, o->version, &state->levels, err) : code;
}

/* With no engine given it is the folder's, which the others refuse. */
static enum cairn_code open_on(struct cairn_state *state, struct cairn_disk *disk, struct cairn_tasks *tasks,
                               const struct cairn_state_options *o, struct cairn_err *err)
{
    size_t engine;
    enum cairn_code code = find_engine(o->engine, &engine, err);

    if (code == CAIRN_OK && engine < ENGINES)
        return open_with(state, engine, disk, tasks, o, err);
    for (engine = 0; engine < ENGINES; engine++) {
        code = open_with(state, engine, disk, tasks, o, err);
        if (code != CAIRN_ECONFLICT)
            break;
    }
    return code;
}

static const struct cairn_state_options defaults;

enum cairn_code state_open_on(struct cairn_disk *disk, struct cairn_tasks *tasks,
                              const struct cairn_state_options *options, struct cairn_state **ret_state,
                              struct cairn_err *err)
{
    struct cairn_state *state = cairn_alloc_zeroed(1, sizeof *state);
    enum cairn_code code = open_on(state, disk, tasks, options ? options : &defaults, err);

    if (code == CAIRN_OK)
        *ret_state = state;
    else
        cairn_state_close(state);
    return code;
}

enum cairn_code cairn_state_open(const char *folder, const struct cairn_state_options *options,
                                 struct cairn_state **ret_state, struct cairn_err *err)
{
    const struct cairn_state_options *o = options ? options : &defaults;
    struct cairn_state *state = cairn_alloc_zeroed(1, sizeof *state);
    size_t engine;
    enum cairn_code code = find_engine(o->engine, &engine, err); /* before a folder is made for it */

    if (code == CAIRN_OK)
        code = cairn_disk_open(folder, &state->disk, err);
    if (code == CAIRN_OK)
        code = state->disk->ops->lock(state->disk, err);
    if (code == CAIRN_OK) {
        state->tasks = cairn_tasks_create(BACKGROUND_THREADS);
        code = open_on(state, state->disk, state->tasks, o, err);
    }
    if (code == CAIRN_OK)
        *ret_state = state;
    else
        cairn_state_close(state);
    return code;
}

struct cairn_state *cairn_state_close(struct cairn_state *state)
{
    if (!state)
        return NULL;
    levels_close(state->levels);
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
    struct cairn_bytes value;
    enum cairn_code code = check_key(key_bytes, err);

    if (code == CAIRN_OK)
        code = levels_get(state->levels, cairn_bytes(key, key_bytes), ret_found, &value, err);
    if (code == CAIRN_OK && *ret_found) {
        *ret_value = value.data;
        *ret_value_bytes = value.size;
    }
    return code;
}

enum cairn_code cairn_state_put(struct cairn_state *state, const void *key, size_t key_bytes, const void *value,
                                size_t value_bytes, struct cairn_err *err)
{
    enum cairn_code code = check_key(key_bytes, err);

    if (code == CAIRN_OK && value_bytes > CAIRN_VALUE_BYTES_MAX)
        code =
            cairn_fail(err, CAIRN_ELIMIT, "a value has at most %d bytes, not %zu", CAIRN_VALUE_BYTES_MAX, value_bytes);
    if (code == CAIRN_OK)
        code = levels_put(state->levels, cairn_bytes(key, key_bytes), cairn_bytes(value, value_bytes), err);
    return code;
}

enum cairn_code cairn_state_remove(struct cairn_state *state, const void *key, size_t key_bytes, struct cairn_err *err)
{
    enum cairn_code code = check_key(key_bytes, err);

    return code == CAIRN_OK ? levels_put(state->levels, cairn_bytes(key, key_bytes), run_tombstone(), err) : code;
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

enum cairn_code cairn_state_snapshot(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                     uint64_t *ret_version, struct cairn_err *err)
{
    struct cairn_clock *clock = cairn_clock_system();

    return levels_snapshot(state->levels, clock->wall_ms(clock), cairn_bytes(metadata, metadata_bytes), ret_version,
                           err);
}

void cairn_state_versions(struct cairn_state *state,
                          bool (*each)(void *context, const struct cairn_state_version *version), void *context)
{
    const struct versions *versions = levels_versions(state->levels);
    const struct version *version, *current = versions_current(versions);

    for (size_t i = 0; (version = versions_at(versions, i)); i++) {
        struct cairn_state_version told = {
            .number = version->number,
            .parent = version->parent,
            .time_ms = version->time_ms,
            .current = version == current,
            .pinned = version->pinned,
            .metadata = version->metadata.data,
            .metadata_bytes = version->metadata.size,
        };

        for (size_t j = 0; j < version->run_count; j++)
            told.bytes += version->runs[j].bytes;
        if (!each(context, &told))
            return;
    }
}

enum cairn_code cairn_state_restore(struct cairn_state *state, uint64_t version, struct cairn_err *err)
{
    const struct version *current = versions_current(levels_versions(state->levels));

    if (!version && !current)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version yet");
    return levels_restore(state->levels, version ? version : current->number, err);
}

enum cairn_code cairn_state_pin(struct cairn_state *state, uint64_t version, bool pinned, struct cairn_err *err)
{
    return versions_pin(levels_versions(state->levels), version, pinned, err);
}

enum cairn_code cairn_state_forget(struct cairn_state *state, uint64_t version, struct cairn_err *err)
{
    return versions_forget(levels_versions(state->levels), version, err);
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
