/* taking.c - the list of the node's versions, and how far the one is that is being taken; see node_version.h. */
#include <stdlib.h>

#include "history/history_internal.h"

_Atomic enum taking_part *taking_part_of(const struct cairn_shard *shard)
{
    return &history_of(shard_store(shard))->parts[cairn_shard_index(shard)];
}

/* Whether commits are copied into the version. */
void taking_capture(struct cairn_store *store, bool on)
{
    struct history *history = history_of(store);

    atomic_store(&history->taking.capturing, on);
    atomic_store(&history->tap.listens, on || history->archive.blob);
}

void taking_notify_all(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store_count(store); i++)
        store_notify(store, i);
    store_wake_close(store);
}

void taking_enter(struct cairn_store *store, enum taking_state state)
{
    struct taking *taking = &history_of(store)->taking;

    taking->state = state;
    if (state == TAKING_NONE || state == TAKING_ENDED)
        atomic_store(&history_of(store)->tap.holds, false);
    taking->left = state == TAKING_BEGIN ? store_count(store) : store_count(store) - 1;
    atomic_store(&history_of(store)->tap.active, state != TAKING_NONE || taking->drops.size);
}

/* The lock is held. */
void taking_fail(struct cairn_store *store, enum cairn_code code, const struct cairn_err *why)
{
    struct taking *taking = &history_of(store)->taking;

    taking_capture(store, false);
    taking->code = code;
    taking->err = *why;
    taking_enter(store, TAKING_FAILED);
}

/* The lock is held.  A checkpoint that was due meanwhile may begin. */
void taking_end(struct cairn_store *store)
{
    taking_enter(store, TAKING_ENDED);
    checkpoint_choose_turn(store);
    taking_notify_all(store);
}

void node_versions_enter(struct cairn_store *store, struct node_version *version)
{
    struct taking *taking = &history_of(store)->taking;

    cairn_buf_done(&version->system);
    cairn_buf_done(&version->records);
    taking->versions = cairn_realloc(taking->versions, (taking->count + 1) * sizeof *taking->versions);
    taking->versions[taking->count++] = *version;
    atomic_store(&history_of(store)->archive.versions_left, true);
}

bool cairn_store_version_poll(struct cairn_store *store, uint64_t *ret_number, enum cairn_code *ret_code,
                              struct cairn_err *ret_err)
{
    struct taking *taking = &history_of(store)->taking;
    bool ended;

    pthread_mutex_lock(&taking->lock);
    ended = taking->state == TAKING_ENDED;
    if (ended) {
        *ret_code = taking->code;
        *ret_number = taking->number;
        *ret_err = taking->err;
        node_version_done(&taking->version);
        taking->version = (struct node_version){0};
        taking_enter(store, TAKING_NONE);
    }
    pthread_mutex_unlock(&taking->lock);
    return ended;
}

size_t cairn_store_versions(struct cairn_store *store, struct cairn_store_version *to, size_t room)
{
    struct taking *taking = &history_of(store)->taking;
    size_t count;

    pthread_mutex_lock(&taking->lock);
    count = taking->count;
    for (size_t i = 0; i < count && i < room; i++) {
        const struct node_version *version = &taking->versions[i];

        to[i] = (struct cairn_store_version){.number = version->number,
                                             .parent = version->parent,
                                             .time_ms = version->time_ms,
                                             .scheduled = version->scheduled,
                                             .damaged = !version->shards,
                                             .archived = version->archived};
    }
    pthread_mutex_unlock(&taking->lock);
    return count;
}

enum cairn_code node_versions_find(const struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                                   uint64_t *ret_number, struct cairn_err *err)
{
    *ret_number = 0;
    for (size_t i = 0; i < history_of(store)->taking.count; i++) {
        const struct node_version *version = &history_of(store)->taking.versions[i];
        /* One without commits is of when it was taken. */
        uint64_t of_ms = version->wall_ms ? version->wall_ms : version->time_ms;

        if (number ? version->number == number : version->shards && of_ms <= wall_ms)
            *ret_number = version->number;
    }
    if (*ret_number)
        return CAIRN_OK;
    if (number)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %llu; see `cairn versions`",
                          (unsigned long long)number);
    return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version from before that moment; see `cairn versions`");
}

/* The lock is held. */
struct node_version *taking_find(struct taking *taking, uint64_t number)
{
    for (size_t i = 0; i < taking->count; i++)
        if (taking->versions[i].number == number)
            return &taking->versions[i];
    return NULL;
}

void node_versions_archived(struct cairn_store *store, uint64_t number, enum cairn_code code,
                            const struct cairn_err *err)
{
    struct taking *taking = &history_of(store)->taking;
    const struct node_version *version;
    bool others; /* failure, which says nothing of the one that is waited for */

    pthread_mutex_lock(&taking->lock);
    if (code == CAIRN_EUNAVAILABLE) /* under the lock: a wait that begins after this sees it */
        atomic_store(&history_of(store)->archive.lost, true);
    others = code == CAIRN_ENOTFOUND && number && number != taking->number;
    if (taking->state == TAKING_ARCHIVE && !others) {
        version = taking_find(taking, taking->number);
        if (code != CAIRN_OK)
            cairn_fail(&taking->err, code,
                       "version %llu is taken, but not in the blob store yet, which is tried again: %s",
                       (unsigned long long)taking->number, err->text);
        taking->code = code;
        if (code != CAIRN_OK || !version || version->archived)
            taking_end(store);
    }
    pthread_mutex_unlock(&taking->lock);
}

uint64_t node_versions_pending(struct cairn_store *store)
{
    struct taking *taking = &history_of(store)->taking;
    uint64_t pending = 0;

    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; history_of(store)->archive.blob && i < taking->count; i++)
        pending += taking->versions[i].shards && !taking->versions[i].archived && !taking->versions[i].lacks;
    pthread_mutex_unlock(&taking->lock);
    return pending;
}

void node_versions_free(struct cairn_store *store)
{
    struct taking *taking = &history_of(store)->taking;

    while (taking->count > 0)
        node_version_done(&taking->versions[--taking->count]);
    free(taking->versions);
    node_version_done(&taking->version);
    cairn_buf_done(&taking->drops);
    pthread_mutex_destroy(&taking->lock);
}
