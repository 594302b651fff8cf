/* resp_keys.h - the commands of the cache: what runs them, and what they are made of.
 *
 * A command names its keys by their places among its words (struct cairn_resp_keys).  resp_cache.c makes room, locks
 * the keys' stripes, has the command write exactly one reply, and unlocks them.  EXEC locks the stripes of all of its
 * commands at once (resp_exec.c), so a command never locks anything itself.
 * Threads: the session's.  Layer: server (private). */
#ifndef CAIRN_SERVER_RESP_KEYS_H
#define CAIRN_SERVER_RESP_KEYS_H

#include "cache/table.h"
#include "server/resp_internal.h"

/* A command that is running. */
struct cairn_resp_call {
    struct cairn_resp_session *resp;
    const struct cairn_resp_words *words;
    struct cairn_cache *cache;
    struct cairn_buf *to;
    size_t to_from; /* where the reply begins in it */
    uint64_t now_ms;
    uint32_t database;
    bool in_exec;    /* its stripes stay locked until EXEC has ended */
    bool locked;     /* its stripes are locked */
    bool all_locked; /* all stripes are */
    bool again;      /* it has asked for room before */
    uint64_t wants;  /* it has written no reply, and is to be run again once so much more fits */
    struct cairn_cache_locks locks;
    uint32_t only_word; /* the command's one key, which is known; 0: it has none, or several */
    struct cairn_cache_key only;
    uint32_t one; /* instead of `locks`, where there is one stripe; CAIRN_CACHE_STRIPES: there is not */
};

enum {
    CAIRN_RESP_KEYS_CHANGES = 1, /* keys */
    CAIRN_RESP_KEYS_GROWS = 2,   /* needs room */
    CAIRN_RESP_KEYS_ALL = 4,     /* is at one moment for all keys of its database */
    CAIRN_RESP_KEYS_WALKS = 8,   /* goes through them stripe by stripe, except in EXEC */
};

struct cairn_resp_keys {
    void (*run)(struct cairn_resp_call *call);
    int first, last, step; /* words that are keys; first 0: none; last negative: from the end */
    unsigned flags;
    uint32_t value; /* the word that is a key's new value, whatever its size; 0: there is none */
};

/* --- resp_cache.c --- */

/* NULL: there is none of that name. */
const struct cairn_resp_command *cairn_resp_keys_find(struct cairn_front *front, struct cairn_bytes name);
/* NULL behind the last. */
const struct cairn_resp_command *cairn_resp_keys_at(size_t index);
void cairn_resp_keys_run(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                         const struct cairn_resp_words *words);
/* False: it cannot run on this node, in this namespace, or with words of these sizes, which has been answered. */
bool cairn_resp_keys_may(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                         const struct cairn_resp_words *words);
/* Adds the stripes of its keys. */
void cairn_resp_keys_locks(const struct cairn_resp_call *call, const struct cairn_resp_command *command,
                           struct cairn_cache_locks *locks);
/* What it may need, about. */
uint64_t cairn_resp_keys_bytes(const struct cairn_resp_words *words);
/* The first database of the session's namespace; false: there is none, which has been answered. */
bool cairn_resp_cache_database(struct cairn_resp_session *resp, uint32_t *ret_database);

/* --- for commands --- */

static inline struct cairn_bytes cairn_resp_call_word(const struct cairn_resp_call *call, uint32_t index)
{
    return cairn_resp_words_at(call->words, index);
}

struct cairn_cache_key cairn_resp_call_key(const struct cairn_resp_call *call, uint32_t word);
/* Takes the place of the reply. */
void cairn_resp_call_begin(struct cairn_resp_call *call);
/* An entry's value, as a bulk string. */
void cairn_resp_call_value(struct cairn_resp_call *call, const struct cairn_cache_entry *entry);
/* The key has that word as its value from now on. */
void cairn_resp_call_put(struct cairn_resp_call *call, const struct cairn_cache_key *key, uint32_t word,
                         uint64_t expiry_ms);
/* The command works on bytes, which the value of this entry does not have here: answered. */
bool cairn_resp_call_small(struct cairn_resp_call *call, const struct cairn_cache_entry *entry);
/* The stripes of a command that only copies from here on; not in EXEC. */
void cairn_resp_call_unlock(struct cairn_resp_call *call);
/* True if so many bytes fit.  False: the command ends without a reply: it is run again, or has been answered. */
bool cairn_resp_call_room(struct cairn_resp_call *call, uint64_t bytes);

void cairn_resp_call_error(struct cairn_resp_call *call, const char *text); /* "ERR ..", or with another prefix */
void cairn_resp_call_syntax(struct cairn_resp_call *call);
void cairn_resp_call_ok(struct cairn_resp_call *call);
void cairn_resp_call_int(struct cairn_resp_call *call, int64_t value);
void cairn_resp_call_null(struct cairn_resp_call *call);
void cairn_resp_call_arity(struct cairn_resp_call *call, const char *name);

/* A whole number of 64 bits as Redis reads it; false: it is not, and the caller says so. */
bool cairn_resp_number(struct cairn_bytes word, int64_t *ret_value);
/* The same, and answers if it is not. */
bool cairn_resp_call_number(struct cairn_resp_call *call, uint32_t word, int64_t *ret_value);
/* A value's new size is more than the node keeps: answered. */
bool cairn_resp_call_size(struct cairn_resp_call *call, uint64_t bytes);

/* --- resp_exec.c --- */

struct cairn_resp_queue;
/* What MULTI queues of the cache's commands, and plain ones between them.  Puts it there, unless that is NULL, and
 * tells what it takes. */
void cairn_resp_queue_add(struct cairn_resp_queue **to, const struct cairn_resp_command *command,
                          const struct cairn_resp_words *words, size_t *ret_bytes);
/* Where the one behind it goes. */
struct cairn_resp_queue **cairn_resp_queue_next(struct cairn_resp_queue *queue);
void cairn_resp_queue_drop(struct cairn_resp_queue **queue);
/* Runs them; the queue stays. */
void cairn_resp_queue_run(struct cairn_resp_session *resp, const struct cairn_resp_queue *queue, uint32_t count);
/* False: it cannot be watched, which has been answered. */
bool cairn_resp_watch_key(struct cairn_resp_session *resp, struct cairn_bytes name);

/* --- the commands --- */

#define CAIRN_RESP_CALL(name) void cairn_resp_call_##name(struct cairn_resp_call *call)
/* resp_strings.c */
CAIRN_RESP_CALL(append);
CAIRN_RESP_CALL(get);
CAIRN_RESP_CALL(getdel);
CAIRN_RESP_CALL(getrange);
CAIRN_RESP_CALL(mget);
CAIRN_RESP_CALL(mset);
CAIRN_RESP_CALL(msetnx);
CAIRN_RESP_CALL(setrange);
CAIRN_RESP_CALL(strlen);
/* resp_set.c */
CAIRN_RESP_CALL(set);
CAIRN_RESP_CALL(setex);
CAIRN_RESP_CALL(setnx);
CAIRN_RESP_CALL(psetex);
CAIRN_RESP_CALL(getset);
CAIRN_RESP_CALL(getex);
/* resp_numbers.c */
CAIRN_RESP_CALL(incr);
CAIRN_RESP_CALL(decr);
CAIRN_RESP_CALL(incrby);
CAIRN_RESP_CALL(decrby);
CAIRN_RESP_CALL(incrbyfloat);
/* resp_expire.c */
CAIRN_RESP_CALL(expire);
CAIRN_RESP_CALL(expireat);
CAIRN_RESP_CALL(expiretime);
CAIRN_RESP_CALL(persist);
CAIRN_RESP_CALL(pexpire);
CAIRN_RESP_CALL(pexpireat);
CAIRN_RESP_CALL(pexpiretime);
CAIRN_RESP_CALL(pttl);
CAIRN_RESP_CALL(ttl);
/* resp_keys.c */
CAIRN_RESP_CALL(copy);
CAIRN_RESP_CALL(dbsize);
CAIRN_RESP_CALL(del);
CAIRN_RESP_CALL(exists);
CAIRN_RESP_CALL(flushall);
CAIRN_RESP_CALL(flushdb);
CAIRN_RESP_CALL(keys);
CAIRN_RESP_CALL(memory);
CAIRN_RESP_CALL(object);
CAIRN_RESP_CALL(randomkey);
CAIRN_RESP_CALL(rename);
CAIRN_RESP_CALL(renamenx);
CAIRN_RESP_CALL(scan);
CAIRN_RESP_CALL(touch);
CAIRN_RESP_CALL(type);
#undef CAIRN_RESP_CALL

#endif
