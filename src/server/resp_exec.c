/* Transactions over the keys of the cache: what MULTI queues of them, what WATCH notes, and EXEC, which locks the
 * stripes of all their keys and runs them at one time. */
#include <stdlib.h>

#include "server/resp_keys.h"
#include "server/resp_large.h"

/* A command that waits for EXEC: its words lie behind the spans. */
struct cairn_resp_queue {
    struct cairn_resp_queue *next;
    const struct cairn_resp_command *command;
    struct cairn_resp_large_word *large; /* with references */
    uint32_t count, large_count;
    struct cairn_resp_span spans[];
};

/* A key that is watched. */
struct cairn_resp_key_watch {
    struct cairn_resp_key_watch *next;
    struct cairn_cache_state state;
    uint32_t database, name_bytes;
    uint8_t name[];
};

/* --- the queue --- */

void cairn_resp_queue_add(struct cairn_resp_queue **to, const struct cairn_resp_command *command,
                          const struct cairn_resp_words *words, size_t *ret_bytes)
{
    struct cairn_resp_queue *added;
    size_t bytes = sizeof *added + words->count * sizeof added->spans[0];
    uint8_t *at;

    for (uint32_t i = 0; i < words->count; i++)
        bytes += words->spans[i].size;
    *ret_bytes = bytes;
    if (!to)
        return;
    added = cairn_alloc(bytes);
    added->next = NULL;
    added->command = command;
    added->count = words->count;
    added->large_count = words->large_count;
    added->large = NULL;
    if (words->large_count) {
        added->large = cairn_alloc(words->large_count * sizeof added->large[0]);
        memcpy(added->large, words->large, words->large_count * sizeof added->large[0]);
        for (uint32_t i = 0; i < words->large_count; i++)
            cairn_large_ref(words->large[i].value);
    }
    at = (uint8_t *)&added->spans[words->count];
    for (uint32_t i = 0; i < words->count; i++) {
        struct cairn_bytes word = cairn_resp_words_at(words, i);

        if (word.size)
            memcpy(at, word.data, word.size);
        added->spans[i] = (struct cairn_resp_span){(uint32_t)(at - (uint8_t *)added), (uint32_t)word.size};
        at += word.size;
    }
    *to = added;
}

struct cairn_resp_queue **cairn_resp_queue_next(struct cairn_resp_queue *queue)
{
    return &queue->next;
}

void cairn_resp_queue_drop(struct cairn_resp_queue **queue)
{
    struct cairn_resp_queue *first;

    while ((first = *queue)) {
        *queue = first->next;
        for (uint32_t i = 0; i < first->large_count; i++)
            cairn_large_unref(first->large[i].value);
        free(first->large);
        free(first);
    }
}

static struct cairn_resp_words words_of(const struct cairn_resp_queue *queued)
{
    return (struct cairn_resp_words){queued->spans, (const uint8_t *)queued, queued->count, queued->large,
                                     queued->large_count};
}

/* --- WATCH --- */

static struct cairn_cache_key key_of(const struct cairn_cache *cache, const struct cairn_resp_key_watch *watch)
{
    return cairn_cache_key(cache, watch->database, cairn_bytes(watch->name, watch->name_bytes));
}

bool cairn_resp_watch_key(struct cairn_resp_session *resp, struct cairn_bytes name)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    struct cairn_resp_key_watch *watch;
    struct cairn_cache_key key;
    uint32_t database;

    if (!cairn_resp_cache_database(resp, &database))
        return false;
    database += resp->database;
    if (name.size > CAIRN_CACHE_KEY_BYTES_MAX) {
        cairn_resp_reply_error(resp, "ERR", "a key has at most %d bytes, this one has %zu", CAIRN_CACHE_KEY_BYTES_MAX,
                               name.size);
        return false;
    }
    for (watch = resp->key_watches.first; watch; watch = watch->next)
        if (watch->database == database && cairn_bytes_equal(cairn_bytes(watch->name, watch->name_bytes), name))
            return true;
    watch = cairn_alloc(sizeof *watch + name.size);
    watch->database = database;
    watch->name_bytes = (uint32_t)name.size;
    if (name.size)
        memcpy(watch->name, name.data, name.size);
    key = key_of(backend->cache, watch);
    cairn_cache_lock_one(backend->cache, key.stripe);
    watch->state = cairn_cache_state(backend->cache, &key, backend->clock->wall_ms(backend->clock));
    cairn_cache_unlock_one(backend->cache, key.stripe);
    watch->next = resp->key_watches.first;
    resp->key_watches.first = watch;
    resp->key_watches.count++;
    resp->key_watches.bytes += sizeof *watch + name.size;
    return true;
}

void cairn_resp_key_watches_drop(struct cairn_resp_session *resp)
{
    struct cairn_resp_key_watch *watch;

    while ((watch = resp->key_watches.first)) {
        resp->key_watches.first = watch->next;
        free(watch);
    }
    resp->key_watches.count = 0;
    resp->key_watches.bytes = 0;
}

static bool holds(struct cairn_resp_session *resp, struct cairn_cache *cache, uint64_t now_ms)
{
    for (const struct cairn_resp_key_watch *watch = resp->key_watches.first; watch; watch = watch->next) {
        struct cairn_cache_key key = key_of(cache, watch);
        struct cairn_cache_state state = cairn_cache_state(cache, &key, now_ms);

        if (state.there != watch->state.there || state.generation != watch->state.generation)
            return false;
    }
    return true;
}

/* --- EXEC --- */

/* What all of it needs before anything is locked.  False: it is answered, and nothing runs. */
static bool prepare(struct cairn_resp_session *resp, const struct cairn_resp_queue *queue, uint64_t now_ms)
{
    struct cairn_front *front = resp->session.front;
    struct cairn_cache *cache = front->backend->cache;
    uint64_t bytes = 0;
    bool changes = false;

    for (const struct cairn_resp_queue *q = queue; q; q = q->next) {
        struct cairn_resp_words words = words_of(q);

        if (!q->command->keys)
            continue;
        if (q->command->keys->flags & CAIRN_RESP_KEYS_GROWS)
            bytes += cairn_resp_keys_bytes(&words);
        changes |= q->command->keys->flags & CAIRN_RESP_KEYS_CHANGES;
    }
    if (bytes && !cairn_cache_make_room(cache, front->index, bytes, now_ms)) {
        cairn_resp_reply_error(resp, "EXECABORT",
                               "Transaction discarded because of: OOM command not allowed when used memory > "
                               "'maxmemory'.");
        return false;
    }
    if (changes && !cairn_cache_may_change(cache)) {
        cairn_resp_reply_error(resp, "EXECABORT",
                               "Transaction discarded because of: UNAVAILABLE the data folder could not be written for "
                               "long: see the node's log");
        return false;
    }
    return true;
}

static void lock_all(struct cairn_resp_session *resp, const struct cairn_resp_queue *queue,
                     struct cairn_resp_call *call)
{
    struct cairn_cache_locks *locks = &call->locks;

    memset(locks, 0, sizeof *locks);
    for (const struct cairn_resp_queue *q = queue; q; q = q->next) {
        struct cairn_resp_words words = words_of(q);

        call->words = &words;
        if (q->command->keys)
            cairn_resp_keys_locks(call, q->command, locks);
        call->all_locked |= q->command->keys && !q->command->keys->first;
    }
    for (const struct cairn_resp_key_watch *watch = resp->key_watches.first; watch; watch = watch->next)
        cairn_cache_locks_add(locks, key_of(call->cache, watch).stripe);
    cairn_cache_lock(call->cache, locks);
}

static void run_one(struct cairn_resp_call *call, const struct cairn_resp_queue *queued, uint32_t first_database)
{
    struct cairn_resp_session *resp = call->resp;
    struct cairn_resp_words words = words_of(queued);

    if (!queued->command->keys) {
        queued->command->run(resp, &words);
        return;
    }
    call->words = &words;
    call->database = first_database + resp->database; /* SELECT may be among the commands */
    cairn_resp_call_begin(call);
    queued->command->keys->run(call);
    cairn_resp_large_reply_end(resp, call->to_from);
}

void cairn_resp_queue_run(struct cairn_resp_session *resp, const struct cairn_resp_queue *queue, uint32_t count)
{
    struct cairn_session *session = &resp->session;
    const struct cairn_backend *backend = session->front->backend;
    struct cairn_resp_call call = {.resp = resp, .cache = backend->cache, .in_exec = true, .locked = true};
    uint32_t first_database;

    if (!cairn_resp_cache_database(resp, &first_database))
        return;
    call.now_ms = backend->clock->wall_ms(backend->clock);
    if (!prepare(resp, queue, call.now_ms))
        return;
    lock_all(resp, queue, &call);
    if (!holds(resp, call.cache, call.now_ms)) {
        cairn_buf_str(cairn_session_reply_begin(session), resp->version >= 3 ? "_\r\n" : "*-1\r\n");
        cairn_session_reply_end(session);
    } else {
        cairn_resp_array(cairn_session_reply_begin(session), count);
        cairn_session_reply_end(session);
        for (const struct cairn_resp_queue *q = queue; q; q = q->next) {
            run_one(&call, q, first_database);
            /* All of it is carried out, but a reply beyond any bound is not kept. */
            if (!session->cut && cairn_session_waiting_bytes(session) > 2 * session->front->limits.session_bytes)
                cairn_session_give_up(session);
        }
    }
    cairn_cache_unlock(call.cache, &call.locks);
    cairn_cache_sweep(call.cache, 1);
}
