/* GET /v1/cache: the cache's large values; ?of=instances: where their chunks are; ?key=KEY: one of them, and what a
 * loss would cost it.  DELETE /v1/cache?instance=ID takes instances away, as their owner may at any time.
 *
 * Answers are trees: an object is a list that begins with 1 and has names and values in turn, an array one that begins
 * with 0.  http_render_large writes any such tree as JSON. */
#include <inttypes.h>

#include "cache/mover.h"
#include "object/quota.h"
#include "proto/json.h"
#include "server/http_call.h"

enum { VALUES_DEFAULT = 100, VALUES_MAX = 100000 };

static void add_text(struct cairn_buf *to, const char *name, struct cairn_bytes text)
{
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_bytes(to, text);
}

static void add_number(struct cairn_buf *to, const char *name, uint64_t number)
{
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, (int64_t)number);
}

static void begin_object(struct cairn_buf *to, uint64_t members)
{
    cairn_value_add_list(to, 1 + 2 * members);
    cairn_value_add_int(to, 1);
}

static void begin_array(struct cairn_buf *to, const char *name, uint64_t count)
{
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_list(to, 1 + count);
    cairn_value_add_int(to, 0);
}

/* --- the answers --- */

struct values {
    struct cairn_buf text;
    uint32_t first, count, most, all;
};

static void add_value(struct cairn_buf *to, struct cairn_bytes key, uint32_t database, struct cairn_large *value)
{
    char code[CAIRN_REDUNDANCY_TEXT_BYTES];

    cairn_redundancy_print(&value->cut.redundancy, code);
    add_text(to, "key", key);
    add_number(to, "database", database);
    add_number(to, "bytes", value->cut.bytes);
    add_number(to, "takes", cairn_large_counted(value));
    add_text(to, "redundancy", cairn_str(code));
    add_number(to, "lost_chunks", cairn_large_lost(value));
}

static void note_value(void *context, const struct cairn_cache_entry *entry)
{
    struct values *values = context;
    uint32_t database = cairn_cache_entry_database(entry);

    if (database < values->first || database >= values->first + CAIRN_CACHE_DATABASES)
        return;
    values->all++;
    if (values->count == values->most)
        return;
    values->count++;
    begin_object(&values->text, 6);
    add_value(&values->text, cairn_cache_name(entry), database - values->first, cairn_large_of(entry));
}

static void add_values(struct cairn_buf *to, const struct cairn_backend *backend, uint32_t first, uint32_t most)
{
    const struct cairn_redundancy *redundancy = cairn_pool_redundancy(backend->pool);
    struct values values = {.first = first, .most = most};
    uint64_t bytes_max = cairn_cache_bytes_max(backend->cache);

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++)
        cairn_cache_each_large(backend->cache, i, note_value, &values);
    begin_object(to, 6);
    add_number(to, "bytes_max", bytes_max);
    add_number(to, "usable", bytes_max / cairn_redundancy_chunks(redundancy) * redundancy->data);
    add_number(to, "used", cairn_cache_bytes(backend->cache));
    add_number(to, "large", cairn_cache_large_bytes(backend->cache));
    add_number(to, "count", values.all);
    begin_array(to, "values", values.count);
    cairn_buf_add(to, values.text.data, values.text.size);
    cairn_buf_done(&values.text);
}

struct instances {
    struct cairn_buf text;
    uint32_t count;
};

static void note_instance(void *context, struct cairn_instance *instance)
{
    struct instances *instances = context;

    instances->count++;
    begin_object(&instances->text, 7);
    add_number(&instances->text, "id", instance->id);
    add_text(&instances->text, "provider", cairn_str(instance->ops->name));
    add_number(&instances->text, "agent", instance->agent);
    add_text(&instances->text, "state", cairn_str(cairn_instance_lost(instance) ? "lost" : "active"));
    add_number(&instances->text, "chunks", atomic_load_explicit(&instance->chunks, memory_order_relaxed));
    add_number(&instances->text, "held", atomic_load_explicit(&instance->held_bytes, memory_order_relaxed));
    add_number(&instances->text, "memory", instance->memory_bytes);
}

static void add_instances(struct cairn_buf *to, const struct cairn_backend *backend)
{
    struct instances instances = {0};

    cairn_pool_each(backend->pool, note_instance, &instances);
    begin_object(to, 1);
    begin_array(to, "instances", instances.count);
    cairn_buf_add(to, instances.text.data, instances.text.size);
    cairn_buf_done(&instances.text);
}

/* Whether losing any one agent would leave the value: none has more chunks than may still be lost. */
static bool survives_an_agent(struct cairn_large *value, struct cairn_chunk *const *chunks)
{
    uint32_t all = cairn_redundancy_chunks(&value->cut.redundancy), lost = 0, most = 0;

    for (uint32_t i = 0; i < all; i++) {
        uint32_t same = 0;

        lost += chunks[i] == NULL;
        for (uint32_t k = 0; chunks[i] && k < all; k++)
            same += chunks[k] && chunks[k]->instance->agent == chunks[i]->instance->agent;
        most = same > most ? same : most;
    }
    return lost + most <= value->cut.redundancy.parity;
}

static void add_why(struct cairn_buf *to, struct cairn_bytes key, uint32_t database, struct cairn_large *value)
{
    uint32_t all = cairn_redundancy_chunks(&value->cut.redundancy), lost = 0, data = value->cut.redundancy.data;
    struct cairn_chunk *chunks[CAIRN_CHUNKS_MAX];

    cairn_large_chunks(value, chunks);
    for (uint32_t i = 0; i < all; i++)
        lost += chunks[i] == NULL;
    begin_object(to, 9);
    add_value(to, key, database, value);
    add_number(to, "may_lose", lost > value->cut.redundancy.parity ? 0 : value->cut.redundancy.parity - lost);
    add_text(to, "may_lose_an_agent", cairn_str(survives_an_agent(value, chunks) ? "yes" : "no"));
    begin_array(to, "chunks", all);
    for (uint32_t i = 0; i < all; i++) {
        begin_object(to, 5);
        add_number(to, "index", i);
        add_text(to, "kind", cairn_str(value->cut.redundancy.rotates ? "rotating" : i < data ? "data" : "parity"));
        add_text(to, "state", cairn_str(chunks[i] ? "there" : "lost"));
        add_number(to, "instance", chunks[i] ? chunks[i]->instance->id : 0);
        add_number(to, "agent", chunks[i] ? chunks[i]->instance->agent : 0);
        cairn_chunk_unref(chunks[i]);
    }
}

/* The value of a key, with a reference; NULL: it has none, or a small one. */
static struct cairn_large *find(const struct cairn_backend *backend, uint32_t database, struct cairn_bytes name)
{
    struct cairn_cache_key key = cairn_cache_key(backend->cache, database, name);
    struct cairn_cache_entry *entry;
    struct cairn_large *value = NULL;

    cairn_cache_lock_one(backend->cache, key.stripe);
    entry = cairn_cache_find(backend->cache, &key, backend->clock->wall_ms(backend->clock), CAIRN_CACHE_PEEK);
    if (entry && cairn_large_of(entry))
        value = cairn_large_ref(cairn_large_of(entry));
    cairn_cache_unlock_one(backend->cache, key.stripe);
    return value;
}

/* --- requests --- */

struct asked {
    struct cairn_buf key;
    bool has_key, instances;
    uint32_t limit, database;
};

/* False: it is refused. */
static bool read_query(const struct cairn_http_call *call, struct asked *asked)
{
    struct cairn_bytes query = call->request->query, name, value;
    uint32_t database = 0;
    bool good = true;

    while (good && cairn_http_query_next(&query, &name, &value)) {
        if (cairn_http_is(name, "limit")) {
            good = cairn_http_query_number(call, name, value, VALUES_MAX, &asked->limit);
        } else if (cairn_http_is(name, "database")) {
            good = cairn_http_is(value, "0") ||
                   cairn_http_query_number(call, name, value, CAIRN_CACHE_DATABASES - 1, &database);
        } else if (cairn_http_is(name, "of") && cairn_http_is(value, "instances")) {
            asked->instances = true;
        } else if (cairn_http_is(name, "key")) {
            asked->has_key = true;
            asked->key.size = 0;
            good = cairn_http_decode(&asked->key, value, true);
            if (!good)
                cairn_http_refuse(call, 400, "bad_request", "the query has a broken percent-encoding");
        } else {
            cairn_http_refuse(call, 400, "bad_request",
                              "what can be asked of the cache is of=instances, key=KEY, database=N and limit=N");
            return false;
        }
    }
    asked->database = database;
    return good;
}

static void answer(const struct cairn_http_call *call, struct cairn_buf *value)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_KEEPER_READ, CAIRN_HTTP_FORM_LARGE);

    cairn_slot_begin(slot);
    slot->request.reply(&slot->request, cairn_buf_bytes(value));
}

static void answer_key(const struct cairn_http_call *call, const struct cairn_backend *backend, uint32_t first,
                       const struct asked *asked)
{
    struct cairn_bytes key = cairn_buf_bytes(&asked->key);
    struct cairn_large *value =
        key.size <= CAIRN_CACHE_KEY_BYTES_MAX ? find(backend, first + asked->database, key) : NULL;
    struct cairn_buf tree = {0};

    if (!value) {
        cairn_http_refuse(call, 404, "not_found", "database %u has no key of this name with a large value",
                          asked->database);
        return;
    }
    add_why(&tree, key, asked->database, value);
    cairn_large_unref(value);
    answer(call, &tree);
    cairn_buf_done(&tree);
}

void cairn_http_page_large(const struct cairn_http_call *call)
{
    const struct cairn_backend *backend = call->http->session.front->backend;
    const struct space *space = call->space ? call->space : call->http->session.space;
    struct asked asked = {.limit = VALUES_DEFAULT};
    struct cairn_buf tree = {0};
    uint32_t first;

    if (!backend->pool) {
        cairn_http_refuse(call, 503, "unavailable",
                          backend->cache ? "this node was built without clang, and keeps no large values"
                                         : "this node has no cache: start it with --cache SIZE");
        return;
    }
    if (!cairn_cache_space(backend->cache, space ? space->name : cairn_str(SPACE_DEFAULT), &first)) {
        cairn_http_refuse(call, 503, "unavailable", "the cache has keys of as many namespaces as there may be");
        return;
    }
    if (read_query(call, &asked)) {
        if (asked.has_key) {
            answer_key(call, backend, first, &asked);
        } else {
            if (asked.instances)
                add_instances(&tree, backend);
            else
                add_values(&tree, backend, first, asked.limit);
            answer(call, &tree);
        }
    }
    cairn_buf_done(&tree);
    cairn_buf_done(&asked.key);
}

void cairn_http_reclaim_instances(const struct cairn_http_call *call)
{
    const struct cairn_backend *backend = call->http->session.front->backend;
    struct cairn_bytes query = call->request->query, name, value;
    uint64_t ids[CAIRN_MOVERS_RECLAIMS_MAX];
    struct cairn_buf tree = {0};
    uint32_t count = 0, id;

    while (cairn_http_query_next(&query, &name, &value)) {
        if (!cairn_http_is(name, "instance") || count == CAIRN_MOVERS_RECLAIMS_MAX) {
            cairn_http_refuse(call, 400, "bad_request",
                              "instances are taken away by DELETE /v1/cache?instance=ID[&instance=ID ...], %d at most",
                              CAIRN_MOVERS_RECLAIMS_MAX);
            return;
        }
        if (!cairn_http_query_number(call, name, value, UINT32_MAX, &id))
            return;
        ids[count++] = id;
    }
    if (!backend->movers || !count || !cairn_movers_reclaim(backend->movers, ids, count)) {
        cairn_http_refuse(call, 404, "not_found", "there are no such instances: GET /v1/cache?of=instances");
        return;
    }
    begin_object(&tree, 1);
    add_number(&tree, "reclaimed", count);
    answer(call, &tree);
    cairn_buf_done(&tree);
}

/* --- JSON --- */

static void render(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_value value = cairn_value_read(r);
    bool object;

    if (value.kind == CAIRN_VALUE_INT) {
        cairn_buf_printf(to, "%" PRId64, value.integer);
    } else if (value.kind != CAIRN_VALUE_LIST) {
        cairn_json_bytes(to, value.bytes);
    } else {
        object = cairn_value_read(r).integer == 1;
        cairn_buf_u8(to, object ? '{' : '[');
        for (uint64_t i = 1; i < value.count; i++) {
            if (i > 1)
                cairn_buf_u8(to, object && i % 2 == 0 ? ':' : ',');
            render(to, r);
        }
        cairn_buf_u8(to, object ? '}' : ']');
    }
}

void cairn_http_render_large(struct cairn_buf *body, struct cairn_bytes value)
{
    struct cairn_reader r = cairn_reader(value);

    render(body, &r);
}
