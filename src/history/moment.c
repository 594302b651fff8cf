/* moment.c - a whole store at one moment; see moment.h. */
#include "history/moment.h"

#include <stdlib.h>

#include "base/hash.h"
#include "history/history_internal.h"

/* Of the engine in memory: so much of checkpoints' files is loaded at once, if one shard is not more already.  The log
 * is read once for each such load. */
#define GROUP_BYTES (UINT64_C(64) << 20)

enum { GROUP_SHARDS_MAX = 256 };

enum source { SOURCE_STILL, SOURCE_LOG, SOURCE_VERSION };

struct cairn_moment {
    struct cairn_store *store;
    enum source source;
    uint64_t wall_ms;
    /* SOURCE_LOG: the checkpoints, and the log from them to `until`. */
    struct store_hold *hold;
    uint64_t until;
    uint32_t first, count; /* shards that are loaded, and their state: */
    struct cairn_engine *engines[GROUP_SHARDS_MAX];
    /* SOURCE_VERSION */
    struct node_version version;
    struct cairn_past *past;     /* of a shard, */
    struct cairn_engine *system; /* or this */
};

/* --- beginning --- */

static struct cairn_moment *make(struct cairn_store *store, enum source source)
{
    struct cairn_moment *moment = cairn_alloc_zeroed(1, sizeof *moment);

    moment->store = store;
    moment->source = source;
    return moment;
}

struct cairn_moment *cairn_moment_still(struct cairn_store *store)
{
    struct cairn_moment *moment = make(store, SOURCE_STILL);

    moment->wall_ms = cairn_store_wall_ms(store);
    return moment;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum cairn_code begin_log(struct cairn_moment *moment, struct cairn_err *err)
{
    struct cairn_store *store = moment->store;
    struct cairn_log *log = store_log(store);
    enum cairn_code code;

    if (!cairn_store_has_one_log(store))
        return cairn_fail(err, CAIRN_EINVAL,
                          "each shard has a log of its own, so that a running node has no one moment: stop it, and "
                          "export its folder with --data");
    code = store_hold_begin(store, &moment->hold, err);
    if (code != CAIRN_OK)
        return code;
    moment->until = log->ops->end(log);
    log->ops->want_durable(log, moment->until);
    while (log->ops->durable(log) < moment->until) {
        if (store_log_failed(store))
            return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log has failed: restart the node");
        store_wait_a_little(store);
    }
    moment->wall_ms = most(store_hold_wall_ms(moment->hold), log->ops->reserved_time_ms(log));
    for (uint32_t i = 0; i < store_count(store); i++)
        moment->wall_ms = most(moment->wall_ms, shard_wall_ms(cairn_store_shard(store, i)));
    return CAIRN_OK;
}

enum cairn_code cairn_moment_begin(struct cairn_store *store, uint64_t version, struct cairn_moment **ret_moment,
                                   struct cairn_err *err)
{
    bool versions = store_has_versions(store);
    struct cairn_moment *moment;
    enum cairn_code code;

    if (versions != (version != 0))
        return versions ? cairn_fail(err, CAIRN_EINVAL,
                                     "the engine '%s' is exported at a version: take one with `cairn snapshot`",
                                     cairn_store_engine(store))
                        : cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    moment = make(store, versions ? SOURCE_VERSION : SOURCE_LOG);
    if (versions) {
        code = node_version_read(cairn_store_disk(store), version, &moment->version, err);
        if (code == CAIRN_ENOTFOUND)
            cairn_fail(err, code, "there is no version %llu; see `cairn versions`", (unsigned long long)version);
        moment->wall_ms = moment->version.wall_ms;
    } else {
        code = begin_log(moment, err);
    }
    if (code == CAIRN_OK)
        *ret_moment = moment;
    else
        cairn_moment_close(moment);
    return code;
}

/* --- checkpoints and the log --- */

static void unload(struct cairn_moment *moment)
{
    while (moment->count > 0) {
        struct cairn_engine *engine = moment->engines[--moment->count];

        engine->ops->close(engine);
    }
}

static enum cairn_code apply_part(struct cairn_moment *moment, uint64_t position, struct cairn_reader *body,
                                  const struct commit_head *head, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (head->shard < moment->first || head->shard - moment->first >= moment->count ||
        position < store_hold_position(moment->hold, head->shard))
        return CAIRN_OK;
    for (uint64_t i = 0; code == CAIRN_OK && i < head->writes; i++) {
        struct cairn_write write;

        code = commit_read_write(body, &write, err);
        if (code == CAIRN_OK)
            code = engine_apply(moment->engines[head->shard - moment->first], &write, cairn_hash(write.key), err);
    }
    return code;
}

static enum cairn_code apply(struct cairn_moment *moment, const struct cairn_log_record *record, struct cairn_err *err)
{
    struct cairn_reader body = cairn_reader(record->body);
    struct commit_head head;
    enum cairn_code code = commit_read_head(&body, &head, err);

    if (code == CAIRN_OK)
        do
            code = apply_part(moment, record->position, &body, &head, err);
        while (commit_read_next(&body, &head, &code, err));
    return code;
}

/* The log from a position to where the moment is. */
static enum cairn_code replay(struct cairn_moment *moment, uint64_t from, struct cairn_err *err)
{
    struct cairn_log *log = store_log(moment->store);
    struct cairn_log_reader *reader;
    struct cairn_log_record record;
    bool found = true;
    enum cairn_code code;

    if (from >= moment->until)
        return CAIRN_OK;
    code = log->ops->open_reader(log, from, &reader, err);
    if (code != CAIRN_OK)
        return code;
    for (;;) {
        code = log->ops->read(reader, &record, &found, err);
        if (code != CAIRN_OK || !found || record.position >= moment->until)
            break;
        code = apply(moment, &record, err);
        if (code != CAIRN_OK)
            break;
    }
    log->ops->close_reader(reader);
    return code;
}

/* The shard and some of those behind it. */
static enum cairn_code load(struct cairn_moment *moment, uint32_t index, struct cairn_err *err)
{
    uint64_t bytes = 0, from = UINT64_MAX;
    enum cairn_code code = CAIRN_OK;

    unload(moment);
    moment->first = index;
    for (uint32_t i = index; code == CAIRN_OK && i < store_count(moment->store) && moment->count < GROUP_SHARDS_MAX;
         i++) {
        uint64_t file_bytes = store_hold_file_bytes(moment->hold, i), position = store_hold_position(moment->hold, i);

        if (moment->count && bytes + file_bytes > GROUP_BYTES)
            break;
        bytes += file_bytes;
        moment->engines[moment->count++] = cairn_memory_create();
        code = store_hold_load(moment->hold, i, moment->engines[i - index], err);
        if (position < from)
            from = position;
    }
    if (code == CAIRN_OK)
        code = replay(moment, from, err);
    if (code != CAIRN_OK)
        unload(moment);
    return code;
}

/* --- a version --- */

static bool wants_all(void *context, struct cairn_bytes key)
{
    (void)context;
    (void)key;
    return true;
}

static void leave_version(struct cairn_moment *moment)
{
    moment->past = cairn_past_close(moment->past);
    if (moment->system)
        moment->system->ops->close(moment->system);
    moment->system = NULL;
}

static enum cairn_code open_version(struct cairn_moment *moment, uint32_t index, struct cairn_view **ret_view,
                                    struct cairn_err *err)
{
    enum cairn_code code;

    leave_version(moment);
    if (index + 1 == store_count(moment->store)) {
        moment->system = cairn_memory_create();
        *ret_view = &moment->system->view;
        return node_version_load_system(&moment->version, moment->system, err);
    }
    code = cairn_past_open(moment->store, index, moment->version.number, 0, &moment->past, err);
    if (code == CAIRN_OK)
        code = cairn_past_load(moment->past, wants_all, NULL, true, err);
    if (code == CAIRN_OK)
        *ret_view = cairn_past_view(moment->past);
    return code;
}

/* --- reading --- */

enum cairn_code cairn_moment_shard(struct cairn_moment *moment, uint32_t index, struct cairn_view **ret_view,
                                   struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (moment->source == SOURCE_VERSION)
        return open_version(moment, index, ret_view, err);
    if (moment->source == SOURCE_STILL) {
        *ret_view = cairn_shard_view(cairn_store_shard(moment->store, index));
        return CAIRN_OK;
    }
    if (index < moment->first || index - moment->first >= moment->count)
        code = load(moment, index, err);
    if (code == CAIRN_OK)
        *ret_view = &moment->engines[index - moment->first]->view;
    return code;
}

enum cairn_code cairn_moment_system(struct cairn_moment *moment,
                                    void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                    void *context, struct cairn_err *err)
{
    struct cairn_view *view;
    enum cairn_code code = cairn_moment_shard(moment, cairn_store_shards(moment->store), &view, err);

    if (code != CAIRN_OK)
        return code;
    view->ops->visit(view, each, context);
    return cairn_engine_take_failure(view, err);
}

struct cairn_store *cairn_moment_store(const struct cairn_moment *moment)
{
    return moment->store;
}

uint64_t cairn_moment_wall_ms(const struct cairn_moment *moment)
{
    return moment->wall_ms;
}

struct cairn_moment *cairn_moment_close(struct cairn_moment *moment)
{
    if (!moment)
        return NULL;
    unload(moment);
    leave_version(moment);
    node_version_done(&moment->version);
    store_hold_end(moment->hold);
    free(moment);
    return NULL;
}
