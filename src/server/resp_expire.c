/* When keys expire: EXPIRE and its relatives, TTL and its relatives, PERSIST. */
#include <limits.h>
#include <stdio.h>

#include "server/resp_keys.h"

enum { NX = 1, XX = 2, GT = 4, LT = 8 };

/* False: it is answered. */
static bool parse_options(struct cairn_resp_call *call, unsigned *ret_flags)
{
    static const char *const names[] = {"NX", "XX", "GT", "LT"};
    unsigned flags = 0;
    char text[192];

    for (uint32_t i = 3; i < call->words->count; i++) {
        struct cairn_bytes word = cairn_resp_call_word(call, i);
        unsigned k = 0;

        while (k < 4 && !cairn_resp_word_is(word, names[k]))
            k++;
        if (k == 4) {
            /* Redis shows it as a C string */
            snprintf(text, sizeof text, "ERR Unsupported option %.*s", (int)(word.size < 128 ? word.size : 128),
                     (const char *)word.data);
            cairn_resp_call_error(call, text);
            return false;
        }
        flags |= 1u << k;
    }
    if (flags & NX && flags & (XX | GT | LT)) {
        cairn_resp_call_error(call, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (flags & GT && flags & LT) {
        cairn_resp_call_error(call, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_flags = flags;
    return true;
}

/* `base_ms`: what the word is counted from. */
static void expire(struct cairn_resp_call *call, const char *name, bool seconds, uint64_t base_ms)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry;
    int64_t when, now_ms = (int64_t)call->now_ms, current;
    unsigned flags;
    char text[96];

    if (!parse_options(call, &flags) || !cairn_resp_call_number(call, 2, &when))
        return;
    if ((seconds && (when > LLONG_MAX / 1000 || when < LLONG_MIN / 1000)) ||
        (seconds ? when * 1000 : when) > LLONG_MAX - (int64_t)base_ms) {
        snprintf(text, sizeof text, "ERR invalid expire time in '%s' command", name);
        cairn_resp_call_error(call, text);
        return;
    }
    when = (seconds ? when * 1000 : when) + (int64_t)base_ms;
    entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);
    current = entry ? (int64_t)cairn_cache_expiry(entry) : 0; /* 0: never */
    if (!entry || (flags & NX && current) || (flags & XX && !current) ||
        (flags & GT && (!current || when <= current)) || (flags & LT && current && when >= current)) {
        cairn_resp_call_int(call, 0);
        return;
    }
    if (when <= now_ms)
        cairn_cache_remove(call->cache, &key, call->now_ms);
    else
        cairn_cache_set_expiry(call->cache, &key, (uint64_t)when, call->now_ms);
    cairn_resp_call_int(call, 1);
}

void cairn_resp_call_expire(struct cairn_resp_call *call)
{
    expire(call, "expire", true, call->now_ms);
}

void cairn_resp_call_pexpire(struct cairn_resp_call *call)
{
    expire(call, "pexpire", false, call->now_ms);
}

void cairn_resp_call_expireat(struct cairn_resp_call *call)
{
    expire(call, "expireat", true, 0);
}

void cairn_resp_call_pexpireat(struct cairn_resp_call *call)
{
    expire(call, "pexpireat", false, 0);
}

/* -2: there is no such key; -1: it stays. */
static void tell(struct cairn_resp_call *call, bool seconds, bool left)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_LOOK);
    int64_t ms = entry ? (int64_t)cairn_cache_expiry(entry) : 0;

    if (ms && left)
        ms -= (int64_t)call->now_ms;
    if (!entry)
        cairn_resp_call_int(call, -2);
    else if (!cairn_cache_expiry(entry))
        cairn_resp_call_int(call, -1);
    else
        cairn_resp_call_int(call, !seconds ? ms : ms / 1000 + (ms % 1000 >= 500));
}

void cairn_resp_call_ttl(struct cairn_resp_call *call)
{
    tell(call, true, true);
}

void cairn_resp_call_pttl(struct cairn_resp_call *call)
{
    tell(call, false, true);
}

void cairn_resp_call_expiretime(struct cairn_resp_call *call)
{
    tell(call, true, false);
}

void cairn_resp_call_pexpiretime(struct cairn_resp_call *call)
{
    tell(call, false, false);
}

void cairn_resp_call_persist(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);
    bool expires = entry && cairn_cache_expiry(entry);

    if (expires)
        cairn_cache_set_expiry(call->cache, &key, 0, call->now_ms);
    cairn_resp_call_int(call, expires);
}
