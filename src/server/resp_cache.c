/* The cache's commands: their table, and what runs one of them. */
#include <stdio.h>
#include <strings.h>

#include "object/quota.h"
#include "server/resp_keys.h"
#include "server/resp_large.h"

enum {
    KEY_OVERHEAD_BYTES = 96,      /* of an entry, its place and what malloc keeps beside it, about */
    FLUSHED_AT_ONCE = 10000,      /* keys that a flush gives back itself; the rest follows within a second */
    STRING_BYTES_MAX = 512 << 20, /* Redis' */
};

/* --- the table --- */

#define READS   0
#define CHANGES CAIRN_RESP_KEYS_CHANGES
#define GROWS   (CAIRN_RESP_KEYS_CHANGES | CAIRN_RESP_KEYS_GROWS)
#define ALL     (CAIRN_RESP_KEYS_CHANGES | CAIRN_RESP_KEYS_ALL)
#define WALKS   CAIRN_RESP_KEYS_WALKS

#define ROW(command, arity, first, last, step, flags, text)                                        \
    {                                                                                              \
#command, arity, text, NULL, NULL, CAIRN_RESP_QUEUED_KEYS, &(const struct cairn_resp_keys) \
        {                                                                                          \
            cairn_resp_call_##command, first, last, step, flags, 0                                 \
        }                                                                                          \
    }
#define SETS(command, arity, first, last, step, value, text)                                       \
    {                                                                                              \
#command, arity, text, NULL, NULL, CAIRN_RESP_QUEUED_KEYS, &(const struct cairn_resp_keys) \
        {                                                                                          \
            cairn_resp_call_##command, first, last, step, GROWS, value                             \
        }                                                                                          \
    }
#define ALIAS(name, command, arity, first, last, step, flags, text)                            \
    {                                                                                          \
        name, arity, text, NULL, NULL, CAIRN_RESP_QUEUED_KEYS, &(const struct cairn_resp_keys) \
        {                                                                                      \
            cairn_resp_call_##command, first, last, step, flags, 0                             \
        }                                                                                      \
    }
#define CHECKED(command, arity, first, last, step, flags, text)                                               \
    {                                                                                                         \
#command, arity, text, NULL, check_##command, CAIRN_RESP_QUEUED_KEYS, &(const struct cairn_resp_keys) \
        {                                                                                                     \
            cairn_resp_call_##command, first, last, step, flags, 0                                            \
        }                                                                                                     \
    }

static bool check_sub(struct cairn_resp_session *resp, const struct cairn_resp_words *words, const char *command,
                      const char *const *subs, uint32_t least, uint32_t most)
{
    struct cairn_bytes sub = cairn_resp_words_at(words, 1);

    for (; *subs; subs++) {
        if (!cairn_resp_word_is(sub, *subs))
            continue;
        if (words->count >= least && words->count <= most)
            return true;
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for '%s|%s' command", command, *subs);
        return false;
    }
    {
        char upper[16] = {0};

        for (size_t i = 0; command[i] && i < sizeof upper - 1; i++)
            upper[i] = (char)(command[i] - 'a' + 'A');
        cairn_resp_reply_error(resp, "ERR", "unknown subcommand '%.*s'. Try %s HELP.",
                               (int)(sub.size < 128 ? sub.size : 128), (const char *)sub.data, upper);
    }
    return false;
}

static bool check_object(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    return check_sub(resp, words, "object", (const char *const[]){"encoding", "freq", "idletime", NULL}, 3, 3);
}

static bool check_memory(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    return check_sub(resp, words, "memory", (const char *const[]){"usage", NULL}, 3, UINT32_MAX);
}

/* Sorted. */
static const struct cairn_resp_command commands[] = {
    ROW(append, 3, 1, 1, 1, GROWS, "Adds to the end of a value"),
    ROW(copy, -3, 1, 2, 1, GROWS, "Copies a key"),
    ROW(dbsize, 1, 0, 0, 0, WALKS, "Counts the keys of the database"),
    ROW(decr, 2, 1, 1, 1, GROWS, "Takes one from a number"),
    ROW(decrby, 3, 1, 1, 1, GROWS, "Takes from a number"),
    ROW(del, -2, 1, -1, 1, CHANGES, "Removes keys"),
    ROW(exists, -2, 1, -1, 1, READS, "Counts which keys are there"),
    ROW(expire, -3, 1, 1, 1, CHANGES, "Has a key expire in so many seconds"),
    ROW(expireat, -3, 1, 1, 1, CHANGES, "Has a key expire at a time in seconds"),
    ROW(expiretime, 2, 1, 1, 1, READS, "Tells when a key expires, in seconds"),
    ROW(flushall, -1, 0, 0, 0, ALL, "Removes all keys of the namespace"),
    ROW(flushdb, -1, 0, 0, 0, ALL, "Removes all keys of the database"),
    ROW(get, 2, 1, 1, 1, READS, "Gives a key's value"),
    ROW(getdel, 2, 1, 1, 1, CHANGES, "Gives a key's value and removes the key"),
    ROW(getex, -2, 1, 1, 1, CHANGES, "Gives a key's value and sets when it expires"),
    ROW(getrange, 4, 1, 1, 1, READS, "Gives a part of a value"),
    SETS(getset, 3, 1, 1, 1, 2, "Gives a key's value and sets another"),
    ROW(incr, 2, 1, 1, 1, GROWS, "Adds one to a number"),
    ROW(incrby, 3, 1, 1, 1, GROWS, "Adds to a number"),
    ROW(incrbyfloat, 3, 1, 1, 1, GROWS, "Adds to a number with a fraction"),
    ROW(keys, 2, 0, 0, 0, WALKS, "Gives the keys that match a pattern"),
    CHECKED(memory, -2, 2, 2, 1, READS, "Tells what a key takes: MEMORY USAGE"),
    ROW(mget, -2, 1, -1, 1, READS, "Gives the values of keys"),
    SETS(mset, -3, 1, -1, 2, 2, "Sets keys, together"),
    SETS(msetnx, -3, 1, -1, 2, 2, "Sets keys, together, if none of them is there"),
    CHECKED(object, -2, 2, 2, 1, READS, "Tells about a key: OBJECT ENCODING, FREQ, IDLETIME"),
    ROW(persist, 2, 1, 1, 1, CHANGES, "Has a key not expire"),
    ROW(pexpire, -3, 1, 1, 1, CHANGES, "Has a key expire in so many milliseconds"),
    ROW(pexpireat, -3, 1, 1, 1, CHANGES, "Has a key expire at a time in milliseconds"),
    ROW(pexpiretime, 2, 1, 1, 1, READS, "Tells when a key expires, in milliseconds"),
    SETS(psetex, 4, 1, 1, 1, 3, "Sets a key that expires in so many milliseconds"),
    ROW(pttl, 2, 1, 1, 1, READS, "Tells in how many milliseconds a key expires"),
    ROW(randomkey, 1, 0, 0, 0, WALKS, "Gives a random key"),
    ROW(rename, 3, 1, 2, 1, CHANGES, "Gives a key another name"),
    ROW(renamenx, 3, 1, 2, 1, CHANGES, "Gives a key another name that no key has"),
    ROW(scan, -2, 0, 0, 0, WALKS, "Goes through the keys of the database"),
    SETS(set, -3, 1, 1, 1, 2, "Sets a key"),
    SETS(setex, 4, 1, 1, 1, 3, "Sets a key that expires in so many seconds"),
    SETS(setnx, 3, 1, 1, 1, 2, "Sets a key if it is not there"),
    ROW(setrange, 4, 1, 1, 1, GROWS, "Writes over a part of a value"),
    ROW(strlen, 2, 1, 1, 1, READS, "Tells how long a value is"),
    ALIAS("substr", getrange, 4, 1, 1, 1, READS, "Gives a part of a value"),
    ROW(touch, -2, 1, -1, 1, READS, "Counts which keys are there, and uses them"),
    ROW(ttl, 2, 1, 1, 1, READS, "Tells in how many seconds a key expires"),
    ROW(type, 2, 1, 1, 1, READS, "Tells what kind a key's value is of"),
    ALIAS("unlink", del, -2, 1, -1, 1, CHANGES, "Removes keys"),
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* As strcmp, without regard to the word's case. */
static int compare(struct cairn_bytes word, const char *name)
{
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];

        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 'a' - 'A');
        if (c != (uint8_t)name[i])
            return c < (uint8_t)name[i] ? -1 : 1;
        if (!name[i])
            return 1; /* a byte of 0 in the word */
    }
    return name[word.size] ? -1 : 0;
}

const struct cairn_resp_command *cairn_resp_keys_find(struct cairn_front *front, struct cairn_bytes name)
{
    size_t low = 0, high = COMMANDS;
    const struct cairn_resp_command **recent;

    if (name.size == 0)
        return NULL;
    /* Clients send a few commands again and again; in either case the letter is the same by its low bits. */
    recent = &front->recent[(name.data[0] + 3 * name.size) % CAIRN_FRONT_RECENT];
    if (*recent && compare(name, (*recent)->name) == 0)
        return *recent;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, commands[middle].name);

        if (order == 0)
            return *recent = &commands[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct cairn_resp_command *cairn_resp_keys_at(size_t index)
{
    return index < COMMANDS ? &commands[index] : NULL;
}

/* --- whether it may run --- */

bool cairn_resp_cache_database(struct cairn_resp_session *resp, uint32_t *ret_database)
{
    struct cairn_session *session = &resp->session;
    struct cairn_cache *cache = session->front->backend->cache;
    struct space *space = session->space;
    uint32_t retry_ms;
    struct cairn_err err;

    if (space && space_is_gated(space)) {
        enum cairn_code code =
            quota_admit(space, session->front->clock->monotonic_ns(session->front->clock), &retry_ms, &err);

        if (code != CAIRN_OK) {
            cairn_resp_reply_error(resp, code == CAIRN_ENOTFOUND ? "NOT_FOUND" : "QUOTA", "%s", err.text);
            return false;
        }
    }
    if (!resp->cache.known || resp->cache.space != space) {
        if (!cairn_cache_space(cache, space ? space->name : cairn_str(SPACE_DEFAULT), &resp->cache.first)) {
            cairn_resp_reply_error(resp, "LIMIT", "the cache has keys of %d namespaces, as many as there may be",
                                   CAIRN_CACHE_SPACES_MAX);
            return false;
        }
        resp->cache.space = space;
        resp->cache.known = true;
    }
    if (space)
        cairn_cache_space_life(cache, resp->cache.first, space_life(space));
    *ret_database = resp->cache.first;
    return true;
}

static bool is_key(const struct cairn_resp_keys *keys, uint32_t word, uint32_t count)
{
    uint32_t last = keys->last < 0 ? count - (uint32_t)-keys->last : (uint32_t)keys->last;

    return keys->first > 0 && word >= (uint32_t)keys->first && word <= last &&
           (word - (uint32_t)keys->first) % (uint32_t)keys->step == 0;
}

/* What a mover takes has no bytes here; what came whole at once, and would be large, is kept as a small one. */
static bool check_sizes(struct cairn_resp_session *resp, const struct cairn_resp_keys *keys,
                        const struct cairn_resp_words *words)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    uint32_t value_max = backend->movers && keys->value ? UINT32_MAX : backend->cache_large;

    for (uint32_t i = 1; i < words->count; i++) {
        size_t size = words->spans[i].size;

        if (size <= CAIRN_CACHE_KEY_BYTES_MAX && size <= value_max)
            continue;
        if (is_key(keys, i, words->count) && size > CAIRN_CACHE_KEY_BYTES_MAX) {
            cairn_resp_reply_error(resp, "ERR", "a key has at most %d bytes, this one has %zu",
                                   CAIRN_CACHE_KEY_BYTES_MAX, size);
            return false;
        }
        if (size > value_max) {
            cairn_resp_reply_error(resp, "ERR",
                                   "a value has at most %u bytes on this node (--cache-large), this one has %zu",
                                   value_max, size);
            return false;
        }
    }
    return true;
}

bool cairn_resp_keys_may(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                         const struct cairn_resp_words *words)
{
    if (!resp->session.front->backend->cache) {
        cairn_resp_reply_error(resp, "ERR",
                               "'%s' is a command of the cache, which this node does not have: start it with --cache "
                               "SIZE, as in 'cairn serve --cache 256MiB' (methods are called by FCALL TYPE.METHOD 1 ID "
                               "[ARG ...])",
                               command->name);
        return false;
    }
    return (!command->check || command->check(resp, words)) && check_sizes(resp, command->keys, words);
}

/* --- running --- */

uint64_t cairn_resp_keys_bytes(const struct cairn_resp_words *words)
{
    uint64_t bytes = 0;

    for (uint32_t i = 1; i < words->count; i++)
        bytes += words->spans[i].size;
    return bytes + KEY_OVERHEAD_BYTES * (uint64_t)(words->count / 2);
}

struct cairn_cache_key cairn_resp_call_key(const struct cairn_resp_call *call, uint32_t word)
{
    if (word == call->only_word)
        return call->only;
    return cairn_cache_key(call->cache, call->database, cairn_resp_words_at(call->words, word));
}

void cairn_resp_keys_locks(const struct cairn_resp_call *call, const struct cairn_resp_command *command,
                           struct cairn_cache_locks *locks)
{
    const struct cairn_resp_keys *keys = command->keys;
    uint32_t last = keys->last < 0 ? call->words->count - (uint32_t)-keys->last : (uint32_t)keys->last;

    if (!keys->first) {
        cairn_cache_locks_add_all(locks);
        return;
    }
    for (uint32_t i = (uint32_t)keys->first; i <= last && i < call->words->count; i += (uint32_t)keys->step)
        cairn_cache_locks_add(locks, cairn_resp_call_key(call, i).stripe);
}

static void lock(struct cairn_resp_call *call, const struct cairn_resp_command *command)
{
    const struct cairn_resp_keys *keys = command->keys;

    if (keys->flags & CAIRN_RESP_KEYS_WALKS)
        return;
    call->locked = true;
    call->all_locked = !keys->first;
    if (keys->first && keys->first == keys->last) {
        call->only = cairn_resp_call_key(call, (uint32_t)keys->first);
        call->only_word = (uint32_t)keys->first;
        call->one = call->only.stripe;
        cairn_cache_lock_one(call->cache, call->one);
        return;
    }
    call->one = CAIRN_CACHE_STRIPES;
    memset(&call->locks, 0, sizeof call->locks);
    cairn_resp_keys_locks(call, command, &call->locks);
    cairn_cache_lock(call->cache, &call->locks);
}

void cairn_resp_call_unlock(struct cairn_resp_call *call)
{
    if (!call->locked || call->in_exec)
        return;
    if (call->one < CAIRN_CACHE_STRIPES)
        cairn_cache_unlock_one(call->cache, call->one);
    else
        cairn_cache_unlock(call->cache, &call->locks);
    call->locked = call->all_locked = false;
}

static const char oom[] = "OOM command not allowed when used memory > 'maxmemory'.";

bool cairn_resp_call_room(struct cairn_resp_call *call, uint64_t bytes)
{
    if (cairn_cache_has_room(call->cache, bytes))
        return true;
    if (call->in_exec || call->again)
        cairn_resp_call_error(call, oom);
    else
        call->wants = bytes;
    return false;
}

void cairn_resp_keys_run(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                         const struct cairn_resp_words *words)
{
    struct cairn_front *front = resp->session.front;
    const struct cairn_backend *backend = front->backend;
    struct cairn_resp_call call;
    uint64_t bytes;

    if (!cairn_resp_keys_may(resp, command, words) || !cairn_resp_cache_database(resp, &call.database))
        return;
    call.resp = resp;
    call.words = words;
    call.cache = backend->cache;
    call.now_ms = backend->clock->wall_ms(backend->clock);
    call.database += resp->database;
    call.in_exec = call.locked = call.all_locked = call.again = false;
    call.wants = call.only_word = 0;
    cairn_resp_call_begin(&call);
    bytes = command->keys->flags & CAIRN_RESP_KEYS_GROWS ? cairn_resp_keys_bytes(words) : 0;
    if (bytes && !cairn_cache_make_room(call.cache, front->index, bytes, call.now_ms)) {
        cairn_resp_call_error(&call, oom);
    } else if (command->keys->flags & CAIRN_RESP_KEYS_CHANGES && !cairn_cache_may_change(call.cache)) {
        cairn_resp_call_error(&call, "UNAVAILABLE the data folder could not be written for long: see the node's log");
    } else {
        lock(&call, command);
        command->keys->run(&call);
        cairn_resp_call_unlock(&call);
        if (call.wants) {
            call.again = true;
            cairn_cache_make_room(call.cache, front->index, call.wants, call.now_ms);
            lock(&call, command);
            command->keys->run(&call);
            cairn_resp_call_unlock(&call);
        }
    }
    cairn_resp_large_reply_end(resp, call.to_from);
    if (command->keys->flags & CAIRN_RESP_KEYS_ALL)
        cairn_cache_sweep(call.cache, FLUSHED_AT_ONCE);
}

/* --- values --- */

void cairn_resp_call_begin(struct cairn_resp_call *call)
{
    call->to = cairn_session_reply_begin(&call->resp->session);
    call->to_from = call->to->size;
}

void cairn_resp_call_value(struct cairn_resp_call *call, const struct cairn_cache_entry *entry)
{
    struct cairn_large *large = cairn_large_of(entry);

    if (large)
        cairn_resp_large_write(call, large, 0, large->cut.bytes);
    else
        cairn_resp_bulk(call->to, cairn_cache_value(entry));
}

void cairn_resp_call_put(struct cairn_resp_call *call, const struct cairn_cache_key *key, uint32_t word,
                         uint64_t expiry_ms)
{
    struct cairn_large *large = cairn_resp_words_large(call->words, word);

    if (large)
        cairn_cache_put_large(call->cache, key, &large->far, expiry_ms, call->now_ms);
    else
        cairn_cache_put(call->cache, key, cairn_resp_call_word(call, word), expiry_ms, CAIRN_CACHE_PLAIN, call->now_ms);
}

bool cairn_resp_call_small(struct cairn_resp_call *call, const struct cairn_cache_entry *entry)
{
    char text[160];

    if (!entry || !cairn_large_of(entry))
        return true;
    snprintf(text, sizeof text,
             "ERR a value of %llu bytes or more cannot be changed in part within a transaction (--cache-large)",
             (unsigned long long)call->resp->session.front->backend->cache_large);
    cairn_resp_call_error(call, text);
    return false;
}

/* --- replies --- */

void cairn_resp_call_error(struct cairn_resp_call *call, const char *text)
{
    size_t prefix = strcspn(text, " ");
    char code[32];

    cairn_session_count_error(&call->resp->session);
    snprintf(code, sizeof code, "%.*s", (int)prefix, text);
    cairn_resp_error(call->to, code, text + prefix + 1);
}

void cairn_resp_call_syntax(struct cairn_resp_call *call)
{
    cairn_resp_call_error(call, "ERR syntax error");
}

void cairn_resp_call_arity(struct cairn_resp_call *call, const char *name)
{
    char text[96];

    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
    cairn_resp_call_error(call, text);
}

void cairn_resp_call_ok(struct cairn_resp_call *call)
{
    cairn_buf_add(call->to, "+OK\r\n", 5);
}

void cairn_resp_call_int(struct cairn_resp_call *call, int64_t value)
{
    cairn_resp_int(call->to, value);
}

void cairn_resp_call_null(struct cairn_resp_call *call)
{
    cairn_resp_null(call->to, call->resp->version);
}

/* --- words --- */

bool cairn_resp_number(struct cairn_bytes word, int64_t *ret_value)
{
    uint64_t value = 0;
    bool negative;
    size_t i;

    if (word.size == 0 || word.size > 20) /* a large value has no bytes here */
        return false;
    negative = word.size > 1 && word.data[0] == '-';
    i = negative;
    if (word.size == 1 && word.data[0] == '0') {
        *ret_value = 0;
        return true;
    }
    if (word.data[i] < '1' || word.data[i] > '9')
        return false;
    for (; i < word.size; i++)
        if (word.data[i] < '0' || word.data[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(word.data[i] - '0'), &value))
            return false;
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool cairn_resp_call_number(struct cairn_resp_call *call, uint32_t word, int64_t *ret_value)
{
    if (cairn_resp_number(cairn_resp_words_at(call->words, word), ret_value))
        return true;
    cairn_resp_call_error(call, "ERR value is not an integer or out of range");
    return false;
}

bool cairn_resp_call_size(struct cairn_resp_call *call, uint64_t bytes)
{
    uint32_t most = call->resp->session.front->backend->cache_large;
    char text[160];

    if (bytes <= most)
        return true;
    if (bytes > STRING_BYTES_MAX) {
        cairn_resp_call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return false;
    }
    snprintf(text, sizeof text,
             "ERR a value has at most %u bytes on this node (--cache-large), this one would have %llu", most,
             (unsigned long long)bytes);
    cairn_resp_call_error(call, text);
    return false;
}
