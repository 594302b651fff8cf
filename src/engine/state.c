/* state.c - the interface for embedders (cairn/engine.h) over the engines. */
#include "cairn/engine.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/lsm.h"
#include "io/clock.h"

enum { BACKGROUND_THREADS = 2 }; /* one writes while the other merges */

struct cairn_state {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct lsm *lsm;
};

enum cairn_code cairn_state_open(const char *folder, const struct cairn_state_options *options,
                                 struct cairn_state **ret_state, struct cairn_err *err)
{
    static const struct cairn_state_options defaults;
    const struct cairn_state_options *o = options ? options : &defaults;
    struct lsm_options lsm_options = {.memtable_bytes_limit = o->memtable_bytes_limit,
                                      .max_runs_per_level = o->max_runs_per_level,
                                      .density_factor = o->density_factor,
                                      .filter_bits = o->filter_bits};
    struct cairn_state *state;
    enum cairn_code code;

    if (o->engine && strcmp(o->engine, "lsm") != 0)
        return cairn_fail(err, CAIRN_EINVAL, "there is no engine '%s'; there is: lsm", o->engine);
    state = cairn_alloc_zeroed(1, sizeof *state);
    code = cairn_disk_open(folder, &state->disk, err);
    if (code == CAIRN_OK)
        code = state->disk->ops->lock(state->disk, err);
    if (code == CAIRN_OK) {
        state->tasks = cairn_tasks_create(BACKGROUND_THREADS);
        code = lsm_open(state->disk, state->tasks, &lsm_options, o->version, &state->lsm, err);
    }
    if (code != CAIRN_OK) {
        cairn_state_close(state);
        return code;
    }
    *ret_state = state;
    return CAIRN_OK;
}

struct cairn_state *cairn_state_close(struct cairn_state *state)
{
    if (!state)
        return NULL;
    lsm_close(state->lsm);
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
        code = lsm_get(state->lsm, cairn_bytes(key, key_bytes), ret_found, &value, err);
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
        code = lsm_put(state->lsm, cairn_bytes(key, key_bytes), cairn_bytes(value, value_bytes), err);
    return code;
}

enum cairn_code cairn_state_remove(struct cairn_state *state, const void *key, size_t key_bytes, struct cairn_err *err)
{
    enum cairn_code code = check_key(key_bytes, err);

    return code == CAIRN_OK ? lsm_put(state->lsm, cairn_bytes(key, key_bytes), run_tombstone(), err) : code;
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

    return lsm_visit(state->lsm, visit_one, &visit, err);
}

/* --- versions --- */

enum cairn_code cairn_state_snapshot(struct cairn_state *state, const void *metadata, size_t metadata_bytes,
                                     uint64_t *ret_version, struct cairn_err *err)
{
    struct cairn_clock *clock = cairn_clock_system();

    return lsm_snapshot(state->lsm, clock->wall_ms(clock), cairn_bytes(metadata, metadata_bytes), ret_version, err);
}

void cairn_state_versions(struct cairn_state *state,
                          bool (*each)(void *context, const struct cairn_state_version *version), void *context)
{
    const struct versions *versions = lsm_versions(state->lsm);
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
    const struct version *current = versions_current(lsm_versions(state->lsm));

    if (!version && !current)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version yet");
    return lsm_restore(state->lsm, version ? version : current->number, err);
}

enum cairn_code cairn_state_pin(struct cairn_state *state, uint64_t version, bool pinned, struct cairn_err *err)
{
    return versions_pin(lsm_versions(state->lsm), version, pinned, err);
}

enum cairn_code cairn_state_forget(struct cairn_state *state, uint64_t version, struct cairn_err *err)
{
    return versions_forget(lsm_versions(state->lsm), version, err);
}

enum cairn_code cairn_state_collect(struct cairn_state *state, uint64_t *ret_bytes, struct cairn_err *err)
{
    return lsm_collect(state->lsm, ret_bytes, err);
}

void cairn_state_get_stats(struct cairn_state *state, struct cairn_state_stats *ret_stats)
{
    struct lsm_stats stats;

    lsm_stats(state->lsm, &stats);
    *ret_stats = (struct cairn_state_stats){
        .memory_bytes = stats.memtable_bytes + stats.run_memory_bytes,
        .disk_bytes = stats.run_bytes,
        .files = stats.run_count,
        .flushes = stats.flushes,
        .merges = stats.merges,
        .merged_bytes = stats.merged_bytes,
    };
}
