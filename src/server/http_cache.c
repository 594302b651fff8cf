/* /v1/cache/KEY: keys of the cache, one at a time (RFC 9110: entity tags, conditions, one range; RFC 9111: max-age).
 *
 * A key's entity tag is its generation, which no other value has.  The bytes are copied while the key's stripe is
 * locked, or referred to if they have memory of their own; the answer is made when it is unlocked. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/table.h"
#include "object/quota.h"
#include "object/space.h"
#include "server/http_call.h"

enum { EXTRA_BYTES = 320, KEY_OVERHEAD_BYTES = 96, TAG_BYTES = 20, DIGITS_MAX = 18 };

/* A key that is asked for. */
struct asked {
    const struct cairn_http_call *call;
    struct cairn_cache *cache;
    struct cairn_cache_key key;
    struct cairn_buf name; /* that the key is borrowed from */
    uint64_t now_ms;
};

/* --- which key --- */

/* Behind /v1/cache/ or /v1/ns/NAME/cache/, decoded: a slash in it may stand as it is. */
static bool read_name(const struct cairn_http_call *call, struct cairn_buf *to)
{
    struct cairn_bytes path = call->request->path;

    for (int slashes = call->space ? 5 : 3; slashes > 0 && path.size > 0; path.data++, path.size--)
        slashes -= *path.data == '/';
    if (!cairn_http_decode(to, path, false)) {
        cairn_http_refuse(call, 400, "bad_request", "the key's percent-encoding is broken");
        return false;
    }
    if (to->size == 0 || to->size > CAIRN_CACHE_KEY_BYTES_MAX) {
        cairn_http_refuse(call, 400, "bad_request", "a key has 1 to %d bytes, this one has %zu",
                          CAIRN_CACHE_KEY_BYTES_MAX, to->size);
        return false;
    }
    return true;
}

/* database=N */
static bool read_database(const struct cairn_http_call *call, uint32_t *ret)
{
    struct cairn_bytes query = call->request->query, name, value;

    *ret = 0;
    while (cairn_http_query_next(&query, &name, &value)) {
        uint32_t number = 0;

        if (!cairn_http_is(name, "database")) {
            cairn_http_refuse(call, 400, "bad_request", "this page takes only 'database' in its query");
            return false;
        }
        for (size_t i = 0; i < value.size && number < CAIRN_CACHE_DATABASES; i++)
            number = value.data[i] >= '0' && value.data[i] <= '9' ? number * 10 + (uint32_t)(value.data[i] - '0')
                                                                  : CAIRN_CACHE_DATABASES;
        if (value.size == 0 || number >= CAIRN_CACHE_DATABASES) {
            cairn_http_refuse(call, 400, "bad_request", "a database is a number from 0 to %d",
                              CAIRN_CACHE_DATABASES - 1);
            return false;
        }
        *ret = number;
    }
    return true;
}

/* The namespace may have a request, and has databases. */
static bool enter_databases(const struct cairn_http_call *call, struct cairn_cache *cache, uint32_t *ret_first)
{
    struct cairn_session *session = &call->http->session;
    struct space *space = session->space;
    uint32_t retry_ms;
    struct cairn_err err;

    if (space && space_is_gated(space) &&
        quota_admit(space, session->front->clock->monotonic_ns(session->front->clock), &retry_ms, &err) != CAIRN_OK) {
        cairn_http_refuse(call, err.code == CAIRN_ENOTFOUND ? 404 : 429, cairn_code_name(err.code), "%s", err.text);
        return false;
    }
    if (!cairn_cache_space(cache, space ? space->name : cairn_str(SPACE_DEFAULT), ret_first)) {
        cairn_http_refuse(call, 507, cairn_code_name(CAIRN_ELIMIT),
                          "the cache has keys of %d namespaces, as many as there may be", CAIRN_CACHE_SPACES_MAX);
        return false;
    }
    if (space)
        cairn_cache_space_life(cache, *ret_first, space_life(space));
    return true;
}

static bool ask(const struct cairn_http_call *call, struct asked *ret)
{
    const struct cairn_backend *backend = call->http->session.front->backend;
    uint32_t first, database;

    *ret = (struct asked){.call = call, .cache = backend->cache};
    if (!ret->cache) {
        cairn_http_refuse(call, 404, "not_found",
                          "this node has no cache: start it with --cache SIZE, as in 'cairn serve --cache 256MiB'");
        return false;
    }
    if (!read_database(call, &database) || !read_name(call, &ret->name) || !enter_databases(call, ret->cache, &first)) {
        cairn_buf_done(&ret->name);
        return false;
    }
    ret->now_ms = backend->clock->wall_ms(backend->clock);
    ret->key = cairn_cache_key(ret->cache, first + database, cairn_buf_bytes(&ret->name));
    return true;
}

/* --- entity tags --- */

static void write_tag(uint64_t generation, char to[TAG_BYTES])
{
    snprintf(to, TAG_BYTES, "\"%" PRIx64 "\"", generation);
}

/* The header's list has the tag; a weak one is the same with W/ before it; "*" is any. */
static bool names_tag(struct cairn_bytes list, uint64_t generation, bool there)
{
    char tag[TAG_BYTES];

    if (cairn_http_is(list, "*"))
        return there;
    write_tag(generation, tag);
    return there && memmem(list.data, list.size, tag, strlen(tag)) != NULL;
}

/* --- reading --- */

/* What is sent: bytes from .. until - 1 of `size`. */
struct part {
    uint64_t from, until, size;
    unsigned status; /* 200, 206, 416 */
};

static bool read_digits(struct cairn_bytes *text, uint64_t *ret)
{
    size_t digits = 0;

    for (*ret = 0; digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9'; digits++)
        *ret = digits < DIGITS_MAX ? *ret * 10 + (uint64_t)(text->data[digits] - '0') : UINT64_MAX / 2;
    text->data += digits;
    text->size -= digits;
    return digits > 0;
}

/* "bytes=A-B", "bytes=A-", "bytes=-N"; another unit, several ranges, or what is broken, ask for all. */
static struct part part_of(struct cairn_bytes range, uint64_t size)
{
    static const char unit[] = "bytes=";
    struct part whole = {.until = size, .size = size, .status = 200}, part = whole;
    uint64_t first, last;
    bool has_first, has_last;

    if (range.size < sizeof unit || memcmp(range.data, unit, sizeof unit - 1) != 0)
        return whole;
    range = cairn_bytes(range.data + sizeof unit - 1, range.size - (sizeof unit - 1));
    has_first = read_digits(&range, &first);
    if (range.size == 0 || *range.data != '-')
        return whole;
    range = cairn_bytes(range.data + 1, range.size - 1);
    has_last = read_digits(&range, &last);
    if (range.size || (!has_first && !has_last) || (has_first && has_last && last < first))
        return whole;
    part.status = 206;
    if (!has_first) {
        part.from = last < size ? size - last : 0;
    } else {
        part.from = first;
        part.until = has_last && last < size ? last + 1 : size;
    }
    if (part.from >= part.until)
        part = (struct part){.size = size, .status = 416};
    return part;
}

/* Entity tag, how long it may be kept, and which part it is. */
static void write_extra(const struct asked *asked, const struct part *part, uint64_t generation, uint64_t expiry_ms,
                        char to[EXTRA_BYTES])
{
    char tag[TAG_BYTES];
    int used;

    write_tag(generation, tag);
    used = snprintf(to, EXTRA_BYTES, "ETag: %s\r\nAccept-Ranges: bytes\r\n", tag);
    if (expiry_ms)
        used += snprintf(to + used, EXTRA_BYTES - (size_t)used, "Cache-Control: max-age=%" PRIu64 "\r\n",
                         expiry_ms > asked->now_ms ? (expiry_ms - asked->now_ms) / 1000 : 0);
    if (part->status == 206)
        snprintf(to + used, EXTRA_BYTES - (size_t)used, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                 part->from, part->until - 1, part->size);
    else if (part->status == 416)
        snprintf(to + used, EXTRA_BYTES - (size_t)used, "Content-Range: bytes */%" PRIu64 "\r\n", part->size);
}

static void refuse_absent(const struct asked *asked)
{
    cairn_http_refuse(asked->call, 404, "not_found", "there is no key '%.*s'",
                      (int)(asked->name.size < 200 ? asked->name.size : 200), (const char *)asked->name.data);
}

/* The answer to a key that is there, from its bytes. */
static void answer(const struct asked *asked, struct cairn_bytes value, uint64_t generation, uint64_t expiry_ms)
{
    const struct cairn_http_call *call = asked->call;
    const struct cairn_bytes *headers = call->request->headers;
    bool get = call->request->method == CAIRN_HTTP_GET;
    struct part part = part_of(get ? headers[CAIRN_HTTP_RANGE] : cairn_bytes(NULL, 0), value.size);
    char extra[EXTRA_BYTES];

    if (headers[CAIRN_HTTP_IF_NONE_MATCH].data && names_tag(headers[CAIRN_HTTP_IF_NONE_MATCH], generation, true)) {
        part.status = 304;
        write_extra(asked, &part, generation, expiry_ms, extra);
        cairn_http_respond(call->http, call->flags, 304, NULL, extra, cairn_bytes(NULL, 0));
        return;
    }
    write_extra(asked, &part, generation, expiry_ms, extra);
    if (part.status == 416)
        cairn_http_problem(call->http, call->flags, 416, "bad_request", extra,
                           "the value has %" PRIu64 " bytes, and the range none of them", part.size);
    else
        cairn_http_respond(call->http, call->flags, part.status, "application/octet-stream", extra,
                           cairn_bytes(value.data + part.from, part.until - part.from));
}

static void get(const struct asked *asked)
{
    uint8_t copy[CAIRN_CACHE_APART_BYTES];
    struct cairn_cache_apart *apart = NULL;
    struct cairn_bytes value = {0};
    uint64_t generation = 0, expiry_ms = 0;
    struct cairn_cache_entry *entry;
    bool far = false;

    cairn_cache_lock_one(asked->cache, asked->key.stripe);
    entry = cairn_cache_find(asked->cache, &asked->key, asked->now_ms, CAIRN_CACHE_READ);
    if (entry) {
        far = cairn_cache_far(entry) != NULL;
        generation = cairn_cache_generation(entry);
        expiry_ms = cairn_cache_expiry(entry);
        value = cairn_cache_value(entry);
        apart = far ? NULL : cairn_cache_ref(entry);
        if (!far && !apart)
            value.data = memcpy(copy, value.data, value.size);
    }
    cairn_cache_unlock_one(asked->cache, asked->key.stripe);
    if (!entry)
        refuse_absent(asked);
    else if (far)
        cairn_http_refuse(asked->call, 501, "not_found",
                          "the value has %zu bytes: one as large as that is read over the Redis protocol", value.size);
    else
        answer(asked, apart ? cairn_cache_apart_bytes(apart) : value, generation, expiry_ms);
    if (apart)
        cairn_cache_unref(asked->cache, apart);
}

/* --- writing --- */

/* Cache-Control: max-age=SECONDS; 0: it never expires.  False: refused. */
static bool read_expiry(const struct asked *asked, uint64_t *ret_ms)
{
    static const char word[] = "max-age=";
    struct cairn_bytes control = asked->call->request->headers[CAIRN_HTTP_CACHE_CONTROL];
    const uint8_t *found = control.size ? memmem(control.data, control.size, word, sizeof word - 1) : NULL;
    uint64_t seconds;

    *ret_ms = 0;
    if (!found)
        return true;
    control = cairn_bytes(found + sizeof word - 1, control.size - (size_t)(found - control.data) - (sizeof word - 1));
    if (!read_digits(&control, &seconds) || seconds == 0 || seconds > UINT32_MAX ||
        (control.size && *control.data != ',' && *control.data != ' ')) {
        cairn_http_refuse(asked->call, 400, "bad_request", "max-age is a number of seconds from 1 to %u", UINT32_MAX);
        return false;
    }
    *ret_ms = asked->now_ms + seconds * 1000;
    return true;
}

/* If-Match and If-None-Match of a change; locked. */
static bool may_change(const struct asked *asked, const struct cairn_cache_entry *entry)
{
    const struct cairn_bytes *headers = asked->call->request->headers;
    uint64_t generation = entry ? cairn_cache_generation(entry) : 0;

    if (headers[CAIRN_HTTP_IF_MATCH].data && !names_tag(headers[CAIRN_HTTP_IF_MATCH], generation, entry))
        return false;
    return !headers[CAIRN_HTTP_IF_NONE_MATCH].data || !names_tag(headers[CAIRN_HTTP_IF_NONE_MATCH], generation, entry);
}

static void refuse_condition(const struct asked *asked)
{
    cairn_http_refuse(asked->call, 412, "conflict", "the key is not as If-Match or If-None-Match want it");
}

static bool table_may_change(const struct asked *asked)
{
    if (cairn_cache_may_change(asked->cache))
        return true;
    cairn_http_refuse(asked->call, 503, "unavailable",
                      "the data folder could not be written for long: see the node's log");
    return false;
}

static void put(const struct asked *asked)
{
    const struct cairn_http_call *call = asked->call;
    struct cairn_bytes value = call->request->body;
    uint64_t expiry_ms, generation = 0;
    struct cairn_cache_entry *entry;
    char tag[TAG_BYTES], extra[EXTRA_BYTES];
    bool there, done;

    if (!read_expiry(asked, &expiry_ms) || !table_may_change(asked))
        return;
    if (!cairn_cache_make_room(asked->cache, call->http->session.front->index,
                               value.size + asked->name.size + KEY_OVERHEAD_BYTES, asked->now_ms)) {
        cairn_http_refuse(call, 507, cairn_code_name(CAIRN_ELIMIT),
                          "the cache is full, and its policy evicts nothing that would make room");
        return;
    }
    cairn_cache_lock_one(asked->cache, asked->key.stripe);
    entry = cairn_cache_find(asked->cache, &asked->key, asked->now_ms, CAIRN_CACHE_WRITE);
    there = entry != NULL;
    done = may_change(asked, entry);
    if (done) {
        cairn_cache_put(asked->cache, &asked->key, value, expiry_ms, CAIRN_CACHE_PLAIN, asked->now_ms);
        generation = cairn_cache_state(asked->cache, &asked->key, asked->now_ms).generation;
    }
    cairn_cache_unlock_one(asked->cache, asked->key.stripe);
    if (!done) {
        refuse_condition(asked);
        return;
    }
    write_tag(generation, tag);
    snprintf(extra, sizeof extra, "ETag: %s\r\n", tag);
    cairn_http_respond(call->http, call->flags, there ? 204 : 201, NULL, extra, cairn_bytes(NULL, 0));
}

static void drop(const struct asked *asked)
{
    struct cairn_cache_entry *entry;
    bool may;

    if (!table_may_change(asked))
        return;
    cairn_cache_lock_one(asked->cache, asked->key.stripe);
    entry = cairn_cache_find(asked->cache, &asked->key, asked->now_ms, CAIRN_CACHE_PEEK);
    may = may_change(asked, entry);
    if (entry && may)
        cairn_cache_remove(asked->cache, &asked->key, asked->now_ms);
    cairn_cache_unlock_one(asked->cache, asked->key.stripe);
    if (!may)
        refuse_condition(asked);
    else if (!entry)
        refuse_absent(asked);
    else
        cairn_http_respond(asked->call->http, asked->call->flags, 204, NULL, NULL, cairn_bytes(NULL, 0));
}

void cairn_http_page_cache(const struct cairn_http_call *call)
{
    struct asked asked;

    if (!ask(call, &asked))
        return;
    if (call->request->method == CAIRN_HTTP_PUT)
        put(&asked);
    else if (call->request->method == CAIRN_HTTP_DELETE)
        drop(&asked);
    else
        get(&asked);
    cairn_buf_done(&asked.name);
}
