/* SET and its relatives, and GETEX: commands with times. */
#include <limits.h>
#include <stdio.h>

#include "server/resp_keys.h"

enum { NX = 1, XX = 2, GET = 4, KEEPTTL = 8, PERSIST = 16, EX = 32, PX = 64, EXAT = 128, PXAT = 256 };
enum { TIMES = EX | PX | EXAT | PXAT };

/* Words from `from` on.  False: it is answered. */
static bool parse_options(struct cairn_resp_call *call, uint32_t from, bool getex, unsigned *ret_flags,
                          uint32_t *ret_time)
{
    static const struct {
        const char *name;
        unsigned flag, excludes;
        bool set, getex;
    } options[] = {
        {"NX", NX, XX, true, false},
        {"XX", XX, NX, true, false},
        {"GET", GET, 0, true, false},
        {"KEEPTTL", KEEPTTL, TIMES, true, false},
        {"PERSIST", PERSIST, TIMES, false, true},
        {"EX", EX, TIMES & ~EX, true, true},
        {"PX", PX, TIMES & ~PX, true, true},
        {"EXAT", EXAT, TIMES & ~EXAT, true, true},
        {"PXAT", PXAT, TIMES & ~PXAT, true, true},
    };
    unsigned flags = 0;

    for (uint32_t i = from; i < call->words->count; i++) {
        struct cairn_bytes word = cairn_resp_call_word(call, i);
        size_t k = 0;

        while (k < sizeof options / sizeof options[0] &&
               !((getex ? options[k].getex : options[k].set) && cairn_resp_word_is(word, options[k].name)))
            k++;
        if (k == sizeof options / sizeof options[0] || flags & options[k].excludes ||
            (options[k].flag & TIMES && (flags & (KEEPTTL | PERSIST) || i + 1 == call->words->count))) {
            cairn_resp_call_syntax(call);
            return false;
        }
        flags |= options[k].flag;
        if (options[k].flag & TIMES)
            *ret_time = ++i;
    }
    *ret_flags = flags;
    return true;
}

/* The moment that a word means, in ms.  False: it is answered. */
static bool read_time(struct cairn_resp_call *call, const char *name, unsigned flags, uint32_t word, uint64_t *ret_ms)
{
    char text[96];
    int64_t time;

    if (!cairn_resp_call_number(call, word, &time))
        return false;
    if (time <= 0 || (flags & (EX | EXAT) && time > LLONG_MAX / 1000))
        goto invalid;
    if (flags & (EX | EXAT))
        time *= 1000;
    if (flags & (EX | PX) && __builtin_add_overflow(time, (int64_t)call->now_ms, &time))
        goto invalid;
    *ret_ms = (uint64_t)time;
    return true;
invalid:
    snprintf(text, sizeof text, "ERR invalid expire time in '%s' command", name);
    cairn_resp_call_error(call, text);
    return false;
}

static void write_old(struct cairn_resp_call *call, const struct cairn_cache_key *key)
{
    struct cairn_cache_entry *entry = cairn_cache_find(call->cache, key, call->now_ms, CAIRN_CACHE_READ);

    if (entry)
        cairn_resp_call_value(call, entry);
    else
        cairn_resp_call_null(call);
}

void cairn_resp_call_set(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry;
    unsigned flags = 0;
    uint64_t expiry_ms = 0;
    uint32_t time = 0;

    if (call->words->count > 3) {
        if (!parse_options(call, 3, false, &flags, &time) || (time && !read_time(call, "set", flags, time, &expiry_ms)))
            return;
        if (flags & GET)
            write_old(call, &key);
        if (flags & (NX | XX | KEEPTTL)) {
            entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);
            if ((flags & NX && entry) || (flags & XX && !entry)) {
                if (!(flags & GET))
                    cairn_resp_call_null(call);
                return;
            }
            if (flags & KEEPTTL && entry)
                expiry_ms = cairn_cache_expiry(entry);
        }
    }
    cairn_resp_call_put(call, &key, 2, expiry_ms);
    if (!(flags & GET))
        cairn_resp_call_ok(call);
}

static void set_with_time(struct cairn_resp_call *call, const char *name, unsigned unit)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    uint64_t expiry_ms;

    if (!read_time(call, name, unit, 2, &expiry_ms))
        return;
    cairn_resp_call_put(call, &key, 3, expiry_ms);
    cairn_resp_call_ok(call);
}

void cairn_resp_call_setex(struct cairn_resp_call *call)
{
    set_with_time(call, "setex", EX);
}

void cairn_resp_call_psetex(struct cairn_resp_call *call)
{
    set_with_time(call, "psetex", PX);
}

void cairn_resp_call_setnx(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    bool there = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);

    if (!there)
        cairn_resp_call_put(call, &key, 2, 0);
    cairn_resp_call_int(call, !there);
}

void cairn_resp_call_getset(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);

    write_old(call, &key);
    cairn_resp_call_put(call, &key, 2, 0);
}

void cairn_resp_call_getex(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry;
    uint64_t expiry_ms = 0;
    unsigned flags;
    uint32_t time = 0;

    if (!parse_options(call, 2, true, &flags, &time))
        return;
    entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_READ);
    if (!entry) {
        cairn_resp_call_null(call);
        return;
    }
    if (time && !read_time(call, "getex", flags, time, &expiry_ms))
        return;
    cairn_resp_call_value(call, entry);
    if (time && flags & (EXAT | PXAT) && expiry_ms <= call->now_ms)
        cairn_cache_remove(call->cache, &key, call->now_ms);
    else if (time || (flags & PERSIST && cairn_cache_expiry(entry)))
        cairn_cache_set_expiry(call->cache, &key, expiry_ms, call->now_ms);
}
