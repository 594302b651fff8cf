/* Commands over keys, whatever their values are: removing, naming, counting, going through them, telling about them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/glob.h"
#include "server/resp_keys.h"

enum { EMBEDDED_BYTES_MAX = 44, NUMBER_BYTES_MAX = 20, SCAN_REPLY_BYTES = 1 << 20 };

static struct cairn_cache_entry *find(struct cairn_resp_call *call, const struct cairn_cache_key *key,
                                      enum cairn_cache_use how)
{
    return cairn_cache_find(call->cache, key, call->now_ms, how);
}

static uint32_t database_count(void)
{
    return CAIRN_CACHE_DATABASES;
}

/* --- being there --- */

void cairn_resp_call_del(struct cairn_resp_call *call)
{
    int64_t removed = 0;

    for (uint32_t i = 1; i < call->words->count; i++) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);

        removed += cairn_cache_remove(call->cache, &key, call->now_ms);
    }
    cairn_resp_call_int(call, removed);
}

static void count_there(struct cairn_resp_call *call, enum cairn_cache_use how)
{
    int64_t count = 0;

    for (uint32_t i = 1; i < call->words->count; i++) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);

        count += find(call, &key, how) != NULL;
    }
    cairn_resp_call_int(call, count);
}

void cairn_resp_call_exists(struct cairn_resp_call *call)
{
    count_there(call, CAIRN_CACHE_LOOK);
}

void cairn_resp_call_touch(struct cairn_resp_call *call)
{
    count_there(call, CAIRN_CACHE_READ);
}

void cairn_resp_call_type(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);

    cairn_resp_simple(call->to, find(call, &key, CAIRN_CACHE_LOOK) ? "string" : "none");
}

/* --- names --- */

/* The value, with what belongs to it, is the other key's as well. */
static void put_copy(struct cairn_resp_call *call, const struct cairn_cache_entry *entry,
                     const struct cairn_cache_key *to)
{
    struct cairn_cache_far *far = cairn_cache_far(entry);

    if (far)
        cairn_cache_put_large(call->cache, to, far, cairn_cache_expiry(entry), call->now_ms);
    else
        cairn_cache_put(call->cache, to, cairn_cache_value(entry), cairn_cache_expiry(entry), cairn_cache_form(entry),
                        call->now_ms);
}

static bool same(const struct cairn_cache_key *a, const struct cairn_cache_key *b)
{
    return a->database == b->database && cairn_bytes_equal(a->name, b->name);
}

static void rename_key(struct cairn_resp_call *call, bool only_if_new)
{
    struct cairn_cache_key from = cairn_resp_call_key(call, 1), to = cairn_resp_call_key(call, 2);
    struct cairn_cache_entry *entry = find(call, &from, CAIRN_CACHE_WRITE);

    if (!entry) {
        cairn_resp_call_error(call, "ERR no such key");
        return;
    }
    if (same(&from, &to)) {
        if (only_if_new)
            cairn_resp_call_int(call, 0);
        else
            cairn_resp_call_ok(call);
        return;
    }
    if (only_if_new && find(call, &to, CAIRN_CACHE_WRITE)) {
        cairn_resp_call_int(call, 0);
        return;
    }
    put_copy(call, entry, &to);
    cairn_cache_remove(call->cache, &from, call->now_ms);
    if (only_if_new)
        cairn_resp_call_int(call, 1);
    else
        cairn_resp_call_ok(call);
}

void cairn_resp_call_rename(struct cairn_resp_call *call)
{
    rename_key(call, false);
}

void cairn_resp_call_renamenx(struct cairn_resp_call *call)
{
    rename_key(call, true);
}

/* COPY FROM TO [DB number] [REPLACE] */
void cairn_resp_call_copy(struct cairn_resp_call *call)
{
    struct cairn_cache_key from = cairn_resp_call_key(call, 1), to = cairn_resp_call_key(call, 2);
    struct cairn_cache_entry *entry;
    bool replace = false;
    int64_t number;

    for (uint32_t i = 3; i < call->words->count; i++) {
        if (cairn_resp_word_is(cairn_resp_call_word(call, i), "REPLACE")) {
            replace = true;
        } else if (cairn_resp_word_is(cairn_resp_call_word(call, i), "DB") && i + 1 < call->words->count) {
            if (!cairn_resp_call_number(call, ++i, &number))
                return;
            if (number < INT32_MIN || number > INT32_MAX) {
                cairn_resp_call_error(call, "ERR value is out of range, value must between -2147483648 and 2147483647");
                return;
            }
            if (number < 0 || number >= database_count()) {
                cairn_resp_call_error(call, "ERR DB index is out of range");
                return;
            }
            to.database = call->database - call->resp->database + (uint32_t)number;
        } else {
            cairn_resp_call_syntax(call);
            return;
        }
    }
    if (same(&from, &to)) {
        cairn_resp_call_error(call, "ERR source and destination objects are the same");
        return;
    }
    entry = find(call, &from, CAIRN_CACHE_READ);
    if (!entry || (!replace && find(call, &to, CAIRN_CACHE_WRITE))) {
        cairn_resp_call_int(call, 0);
        return;
    }
    if (!cairn_cache_far(entry) && !cairn_resp_call_room(call, cairn_cache_value(entry).size))
        return;
    put_copy(call, entry, &to);
    cairn_resp_call_int(call, 1);
}

/* --- all keys of a database --- */

void cairn_resp_call_dbsize(struct cairn_resp_call *call)
{
    cairn_resp_call_int(call, (int64_t)cairn_cache_keys(call->cache, call->database, call->all_locked));
}

static void flush(struct cairn_resp_call *call, uint32_t database, uint32_t count)
{
    struct cairn_bytes how = cairn_str("SYNC");

    if (call->words->count > 1)
        how = cairn_resp_call_word(call, 1);
    if (call->words->count > 2 || (!cairn_resp_word_is(how, "SYNC") && !cairn_resp_word_is(how, "ASYNC"))) {
        cairn_resp_call_syntax(call);
        return;
    }
    cairn_cache_flush(call->cache, database, count);
    cairn_resp_call_ok(call);
}

void cairn_resp_call_flushdb(struct cairn_resp_call *call)
{
    flush(call, call->database, 1);
}

void cairn_resp_call_flushall(struct cairn_resp_call *call)
{
    flush(call, call->database - call->resp->database, database_count());
}

static void write_name(void *context, const struct cairn_cache_entry *entry)
{
    cairn_resp_bulk(context, cairn_cache_name(entry));
}

void cairn_resp_call_randomkey(struct cairn_resp_call *call)
{
    if (!cairn_cache_random(call->cache, call->database, call->all_locked, call->now_ms, write_name, call->to))
        cairn_resp_call_null(call);
}

/* Names that are found, as they go into the reply. */
struct found {
    struct cairn_buf names;
    struct cairn_bytes pattern;
    uint64_t count, seen, now_ms;
    bool none; /* of this type there is nothing */
};

static void find_name(void *context, const struct cairn_cache_entry *entry)
{
    struct found *found = context;
    uint64_t expiry_ms = cairn_cache_expiry(entry);

    found->seen++;
    if (found->none || (expiry_ms && expiry_ms <= found->now_ms) ||
        !cairn_glob_matches(found->pattern, cairn_cache_name(entry)))
        return;
    cairn_resp_bulk(&found->names, cairn_cache_name(entry));
    found->count++;
}

static void write_found(struct cairn_resp_call *call, struct found *found)
{
    cairn_resp_array(call->to, found->count);
    cairn_buf_add(call->to, found->names.data, found->names.size);
}

void cairn_resp_call_keys(struct cairn_resp_call *call)
{
    struct found found = {.pattern = cairn_resp_call_word(call, 1), .now_ms = call->now_ms};
    uint64_t cursor = 0, most = call->resp->session.front->limits.session_bytes;
    char text[160];

    do
        cursor = cairn_cache_scan(call->cache, call->database, cursor, call->all_locked, find_name, &found);
    while (cursor && found.names.size <= most);
    if (found.names.size > most) {
        snprintf(text, sizeof text, "LIMIT the keys have together more than %llu bytes: go through them with SCAN",
                 (unsigned long long)most);
        cairn_resp_call_error(call, text);
    } else {
        write_found(call, &found);
    }
    cairn_buf_done(&found.names);
}

static bool parse_cursor(struct cairn_bytes word, uint64_t *ret_cursor)
{
    char text[32], *end;

    if (word.size >= sizeof text)
        return false;
    memcpy(text, word.data ? (const char *)word.data : "", word.size);
    text[word.size] = 0;
    errno = 0;
    *ret_cursor = strtoull(text, &end, 10);
    return !strchr(" \t\n\v\f\r", text[0] ? text[0] : 'x') && *end == 0 && errno != ERANGE;
}

/* SCAN CURSOR [MATCH pattern] [COUNT count] [TYPE type] */
void cairn_resp_call_scan(struct cairn_resp_call *call)
{
    struct found found = {.pattern = cairn_str("*"), .now_ms = call->now_ms};
    int64_t count = 10;
    uint64_t cursor, buckets = 0;
    char text[24];

    if (!parse_cursor(cairn_resp_call_word(call, 1), &cursor)) {
        cairn_resp_call_error(call, "ERR invalid cursor");
        return;
    }
    for (uint32_t i = 2; i < call->words->count; i += 2) {
        struct cairn_bytes option = cairn_resp_call_word(call, i);
        bool more = i + 1 < call->words->count;

        if (more && cairn_resp_word_is(option, "COUNT")) {
            if (!cairn_resp_call_number(call, i + 1, &count))
                return;
            if (count < 1) {
                cairn_resp_call_syntax(call);
                return;
            }
        } else if (more && cairn_resp_word_is(option, "MATCH")) {
            found.pattern = cairn_resp_call_word(call, i + 1);
        } else if (more && cairn_resp_word_is(option, "TYPE")) {
            found.none = !cairn_resp_word_is(cairn_resp_call_word(call, i + 1), "string");
        } else {
            cairn_resp_call_syntax(call);
            return;
        }
    }
    /* It may end at any bucket, so it does while the reply is small. */
    do
        cursor = cairn_cache_scan(call->cache, call->database, cursor, call->all_locked, find_name, &found);
    while (cursor && found.seen < (uint64_t)count && ++buckets / 10 < (uint64_t)count &&
           found.names.size < SCAN_REPLY_BYTES);
    cairn_resp_array(call->to, 2);
    snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    cairn_resp_text(call->to, text);
    write_found(call, &found);
    cairn_buf_done(&found.names);
}

/* --- about a key --- */

static const char *encoding(const struct cairn_cache_entry *entry)
{
    struct cairn_bytes value = cairn_cache_value(entry);
    int64_t number;

    if (cairn_cache_form(entry) == CAIRN_CACHE_PLAIN && value.size <= NUMBER_BYTES_MAX &&
        cairn_resp_number(value, &number))
        return "int";
    return cairn_cache_form(entry) != CAIRN_CACHE_RAW && value.size <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
}

static bool counts_uses(const struct cairn_resp_call *call)
{
    enum cairn_cache_policy policy = cairn_cache_policy(call->cache);

    return policy == CAIRN_CACHE_ALLKEYS_LFU || policy == CAIRN_CACHE_VOLATILE_LFU;
}

/* OBJECT ENCODING|FREQ|IDLETIME KEY */
void cairn_resp_call_object(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 2);
    struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_LOOK);
    struct cairn_bytes sub = cairn_resp_call_word(call, 1);

    if (!entry) {
        cairn_resp_call_null(call);
    } else if (cairn_resp_word_is(sub, "ENCODING")) {
        cairn_resp_text(call->to, encoding(entry));
    } else if (cairn_resp_word_is(sub, "FREQ")) {
        if (counts_uses(call))
            cairn_resp_call_int(call, cairn_cache_frequency(entry, call->now_ms));
        else
            cairn_resp_call_error(call,
                                  "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
                                  "note that when switching between policies at runtime LRU and LFU data will take "
                                  "some time to adjust.");
    } else if (counts_uses(call)) {
        cairn_resp_call_error(call,
                              "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
                              "switching between policies at runtime LRU and LFU data will take some time to adjust.");
    } else {
        cairn_resp_call_int(call, cairn_cache_idle_seconds(entry, call->now_ms));
    }
}

/* MEMORY USAGE KEY [SAMPLES count] */
void cairn_resp_call_memory(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 2);
    struct cairn_cache_entry *entry;
    int64_t samples;

    for (uint32_t i = 3; i < call->words->count; i += 2) {
        if (!cairn_resp_word_is(cairn_resp_call_word(call, i), "SAMPLES") || i + 1 == call->words->count) {
            cairn_resp_call_syntax(call);
            return;
        }
        if (!cairn_resp_call_number(call, i + 1, &samples))
            return;
        if (samples < 0) {
            cairn_resp_call_syntax(call);
            return;
        }
    }
    entry = find(call, &key, CAIRN_CACHE_LOOK);
    if (entry)
        cairn_resp_call_int(call, (int64_t)(cairn_cache_entry_bytes(entry) + sizeof entry));
    else
        cairn_resp_call_null(call);
}
