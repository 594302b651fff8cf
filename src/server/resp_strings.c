/* Commands over whole and parts of values. */
#include <stdio.h>

#include "server/resp_keys.h"
#include "server/resp_large.h"

static struct cairn_cache_entry *find(struct cairn_resp_call *call, const struct cairn_cache_key *key,
                                      enum cairn_cache_use how)
{
    return cairn_cache_find(call->cache, key, call->now_ms, how);
}

void cairn_resp_call_get(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_READ);
    struct cairn_cache_apart *apart;

    if (!entry) {
        cairn_resp_call_null(call);
        return;
    }
    apart = call->in_exec ? NULL : cairn_cache_ref(entry);
    if (!apart) {
        cairn_resp_call_value(call, entry);
        return;
    }
    cairn_resp_call_unlock(call); /* others need not wait while it is copied */
    cairn_resp_bulk(call->to, cairn_cache_apart_bytes(apart));
    cairn_cache_unref(call->cache, apart);
}

void cairn_resp_call_getdel(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_READ);

    if (!entry) {
        cairn_resp_call_null(call);
        return;
    }
    cairn_resp_call_value(call, entry);
    cairn_cache_remove(call->cache, &key, call->now_ms);
}

void cairn_resp_call_strlen(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_READ);

    cairn_resp_call_int(call, entry ? (int64_t)cairn_cache_value(entry).size : 0);
}

void cairn_resp_call_getrange(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry;
    struct cairn_bytes value = {0};
    int64_t start, end, size;

    if (!cairn_resp_call_number(call, 2, &start) || !cairn_resp_call_number(call, 3, &end))
        return;
    entry = find(call, &key, CAIRN_CACHE_READ);
    if (entry)
        value = cairn_cache_value(entry);
    size = (int64_t)value.size;
    if (size == 0 || (start < 0 && end < 0 && start > end)) {
        cairn_resp_bulk(call->to, cairn_bytes("", 0));
        return;
    }
    if (start < 0)
        start = start + size < 0 ? 0 : start + size;
    if (end < 0)
        end = end + size < 0 ? 0 : end + size;
    if (end >= size)
        end = size - 1;
    if (start <= end && cairn_large_of(entry)) {
        cairn_resp_large_write(call, cairn_large_of(entry), (uint64_t)start, (uint64_t)end + 1);
        return;
    }
    cairn_resp_bulk(call->to,
                    start > end ? cairn_bytes("", 0) : cairn_bytes(value.data + start, (size_t)(end - start + 1)));
}

void cairn_resp_call_append(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_WRITE);
    struct cairn_bytes more = cairn_resp_call_word(call, 2);
    size_t before;

    if (!entry) {
        cairn_cache_put(call->cache, &key, more, 0, CAIRN_CACHE_PLAIN, call->now_ms);
        cairn_resp_call_int(call, (int64_t)more.size);
        return;
    }
    before = cairn_cache_value(entry).size;
    if (more.size == 0 && cairn_cache_far(entry)) {
        cairn_resp_call_int(call, (int64_t)before);
        return;
    }
    if (!cairn_resp_call_size(call, before + more.size) || !cairn_resp_call_small(call, entry))
        return;
    /* Within what malloc moves there may be both for a moment. */
    if (!cairn_resp_call_room(call, more.size))
        return;
    {
        uint8_t *value = cairn_cache_extend(call->cache, &key, before + more.size, call->now_ms);

        if (more.size)
            memcpy(value + before, more.data, more.size);
    }
    cairn_resp_call_int(call, (int64_t)(before + more.size));
}

void cairn_resp_call_setrange(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_bytes part = cairn_resp_call_word(call, 3);
    struct cairn_cache_entry *entry;
    int64_t offset;
    size_t before, after;
    uint8_t *value;

    if (!cairn_resp_call_number(call, 2, &offset))
        return;
    if (offset < 0) {
        cairn_resp_call_error(call, "ERR offset is out of range");
        return;
    }
    entry = find(call, &key, CAIRN_CACHE_WRITE);
    before = entry ? cairn_cache_value(entry).size : 0;
    if (part.size == 0) {
        cairn_resp_call_int(call, (int64_t)before);
        return;
    }
    if (!cairn_resp_call_size(call, (uint64_t)offset + part.size) || !cairn_resp_call_small(call, entry))
        return;
    after = (size_t)offset + part.size > before ? (size_t)offset + part.size : before;
    if (!cairn_resp_call_room(call, after - before))
        return;
    if (!entry)
        cairn_cache_put(call->cache, &key, cairn_bytes(NULL, 0), 0, CAIRN_CACHE_RAW, call->now_ms);
    value = cairn_cache_extend(call->cache, &key, after, call->now_ms);
    memcpy(value + offset, part.data, part.size);
    cairn_resp_call_int(call, (int64_t)after);
}

/* The replies of one command are together no more than a session may keep. */
static bool reply_fits(struct cairn_resp_call *call, uint64_t bytes)
{
    uint64_t most = call->resp->session.front->limits.session_bytes;
    char text[160];

    if (bytes <= most)
        return true;
    snprintf(text, sizeof text,
             "LIMIT the values have together %llu bytes, and a reply has at most %llu: ask for fewer",
             (unsigned long long)bytes, (unsigned long long)most);
    cairn_resp_call_error(call, text);
    return false;
}

void cairn_resp_call_mget(struct cairn_resp_call *call)
{
    uint64_t bytes = 0;

    for (uint32_t i = 1; i < call->words->count; i++) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);
        struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_PEEK);

        bytes += entry && !cairn_large_of(entry) ? cairn_cache_value(entry).size : 0;
    }
    if (!reply_fits(call, bytes))
        return;
    cairn_resp_array(call->to, call->words->count - 1);
    for (uint32_t i = 1; i < call->words->count; i++) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);
        struct cairn_cache_entry *entry = find(call, &key, CAIRN_CACHE_READ);

        if (entry)
            cairn_resp_call_value(call, entry);
        else
            cairn_resp_null(call->to, call->resp->version);
    }
}

static void put_all(struct cairn_resp_call *call)
{
    for (uint32_t i = 1; i < call->words->count; i += 2) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);

        cairn_resp_call_put(call, &key, i + 1, 0);
    }
}

void cairn_resp_call_mset(struct cairn_resp_call *call)
{
    if (call->words->count % 2 == 0) {
        cairn_resp_call_arity(call, "mset");
        return;
    }
    put_all(call);
    cairn_resp_call_ok(call);
}

void cairn_resp_call_msetnx(struct cairn_resp_call *call)
{
    if (call->words->count % 2 == 0) {
        cairn_resp_call_arity(call, "msetnx");
        return;
    }
    for (uint32_t i = 1; i < call->words->count; i += 2) {
        struct cairn_cache_key key = cairn_resp_call_key(call, i);

        if (find(call, &key, CAIRN_CACHE_WRITE)) {
            cairn_resp_call_int(call, 0);
            return;
        }
    }
    put_all(call);
    cairn_resp_call_int(call, 1);
}
