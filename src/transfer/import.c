#include "transfer/import.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/ids.h"
#include "object/directory.h"
#include "object/kept.h"
#include "object/ordered.h"
#include "object/outcome.h"
#include "object/quota.h"
#include "object/send.h"
#include "object/timers.h"
#include "transfer/carried.h"

enum {
    CONTAINERS_MAX = CAIRN_FIELD_NUMBER_MAX + 1,
    TYPES_MAX = 20000,
    MODULES_MAX = 10000,
    SPACES_MAX = 16384,
    VERSIONS_MAX = 64, /* of a module */
    RECORD_WRITES = 512,
    RECORD_BYTES_LEAST = 4 << 10,
    RECORD_BYTES_MOST = 256 << 10,
    ALL_RECORDS_BYTES = 32 << 20, /* of all shards together, about */
    ONCE_KEY_BYTES_MAX = 256,     /* object.h */
    ONCE_STATE_MAX = 3,           /* docs/formats/state.md */
};

struct imported_space {
    struct cairn_buf name;
};

struct imported_module {
    struct cairn_buf space, name;
};

struct imported_type {
    uint32_t number;
    struct cairn_buf space, module;
    uint8_t kinds[CONTAINERS_MAX]; /* of its fields, by number; 0: there is none */
};

struct part {
    struct overlay overlay;
    struct cairn_bytes space; /* whose objects it has, if they count (kept.h); they are of one */
    uint64_t incarnations, keys;
    struct outcomes outcomes;
    struct carried_in carried;
};

struct extent {
    uint32_t field;
    uint64_t count;
};

struct cairn_import {
    struct cairn_store *store;
    struct cairn_disk *disk;
    struct stream_reader reader;
    uint64_t wall_ms;
    uint32_t shards;
    size_t record_bytes;
    struct part *parts; /* of each shard, the system shard last */
    struct imported_space *spaces;
    size_t space_count;
    struct imported_module *modules;
    size_t module_count;
    struct imported_type **types;
    size_t type_count, type_room;
    uint32_t type_next;
    struct cairn_buf wanted, files; /* hashes of modules' versions, and of files that came */
    /* The object that is being read; shard is UINT32_MAX when there is none. */
    uint32_t shard;
    const struct imported_type *type;
    uint8_t header_key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    size_t header_key_size;
    uint64_t incarnation;
    struct extent extents[CONTAINERS_MAX];
    size_t extent_count;
};

static const uint32_t NO_OBJECT = UINT32_MAX;

static enum cairn_code bad(struct cairn_import *import, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "the stream is not valid before byte %" PRIu64 ": %s",
                      import->reader.position + import->reader.at, what);
}

/* --- writing --- */

static enum cairn_code commit(struct cairn_import *import, uint32_t shard, struct cairn_err *err)
{
    struct overlay *overlay = &import->parts[shard].overlay;
    struct cairn_view *view = cairn_shard_view(cairn_store_shard(import->store, shard));
    struct cairn_bytes space = import->parts[shard].space;
    enum cairn_code code;

    if (space.size)
        kept_change(overlay, space, kept_of(overlay, 0, overlay->count));
    code = overlay->code;
    if (code != CAIRN_OK)
        *err = overlay->err;
    else if (overlay->count)
        code = cairn_fill_commit(import->store, shard, import->wall_ms, overlay->writes, overlay->count, err);
    overlay_reset(overlay, view);
    return code;
}

static enum cairn_code commit_if_large(struct cairn_import *import, uint32_t shard, struct cairn_err *err)
{
    const struct overlay *overlay = &import->parts[shard].overlay;

    if (overlay->count < RECORD_WRITES && overlay->bytes < import->record_bytes && overlay->code == CAIRN_OK)
        return CAIRN_OK;
    return commit(import, shard, err);
}

/* --- namespaces, modules and types --- */

/* NULL: the stream does not name it. */
static const struct imported_space *space_of(const struct cairn_import *import, struct cairn_bytes name)
{
    size_t low = 0, high = import->space_count;

    while (low < high) { /* they come in order */
        size_t middle = (low + high) / 2;

        if (cairn_bytes_compare(cairn_buf_bytes(&import->spaces[middle].name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < import->space_count && cairn_bytes_equal(cairn_buf_bytes(&import->spaces[low].name), name)
               ? &import->spaces[low]
               : NULL;
}

/* `default` is there without an item; one that the stream does not name is not. */
static bool has_space(const struct cairn_import *import, struct cairn_bytes name)
{
    return space_of(import, name) || cairn_bytes_equal(name, cairn_str(SPACE_DEFAULT));
}

/* What the shard's next record has is that namespace's, or its compartment's, or, as `default`'s, not counted. */
static enum cairn_code enter_space(struct cairn_import *import, uint32_t shard, struct cairn_bytes name,
                                   struct cairn_err *err)
{
    const struct imported_space *found = space_of(import, space_payer_name(name));
    struct cairn_bytes space = found ? cairn_buf_bytes(&found->name) : cairn_bytes(NULL, 0);
    struct part *part = &import->parts[shard];
    enum cairn_code code = CAIRN_OK;

    if (!cairn_bytes_equal(space, part->space))
        code = commit(import, shard, err);
    part->space = space;
    return code;
}

static enum cairn_code take_space(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes name = cairn_read_sized(&r), value = cairn_bytes(r.at, cairn_reader_left(&r));
    struct overlay *overlay = &import->parts[import->shards].overlay;
    uint64_t created_ms, limits[SPACE_LIMITS];
    bool removing;
    size_t count = import->space_count;
    struct cairn_buf key = {0};

    if (r.bad || !quota_read(value, &created_ms, &removing, limits) || removing || !space_name_valid(name) ||
        count == SPACES_MAX || import->module_count ||
        (count && cairn_bytes_compare(cairn_buf_bytes(&import->spaces[count - 1].name), name) >= 0))
        return bad(import, "a namespace makes no sense", err);
    import->spaces = cairn_realloc(import->spaces, (count + 1) * sizeof *import->spaces);
    import->spaces[count] = (struct imported_space){0};
    cairn_buf_add(&import->spaces[count].name, name.data, name.size);
    import->space_count++;
    cairn_buf_u8(&key, KEY_SPACE);
    cairn_buf_add(&key, name.data, name.size);
    overlay_put(overlay, cairn_buf_bytes(&key), value);
    cairn_buf_done(&key);
    return commit_if_large(import, import->shards, err);
}

static void add_hash(struct cairn_buf *to, struct cairn_bytes hash)
{
    cairn_buf_add(to, hash.data, hash.size);
}

static bool has_hash(const struct cairn_buf *hashes, const uint8_t *hash)
{
    for (size_t at = 0; at < hashes->size; at += CAIRN_SHA256_BYTES)
        if (memcmp(hashes->data + at, hash, CAIRN_SHA256_BYTES) == 0)
            return true;
    return false;
}

/* Into the system shard: the item's name, and what follows it as it is. */
static enum cairn_code put_catalog(struct cairn_import *import, uint8_t kind, struct cairn_bytes space,
                                   struct cairn_bytes name, struct cairn_bytes value, struct cairn_err *err)
{
    struct overlay *overlay = &import->parts[import->shards].overlay;
    struct cairn_buf key = {0};
    struct cairn_bytes ignored;
    bool there;

    cairn_buf_u8(&key, kind);
    cairn_buf_varint(&key, space.size);
    cairn_buf_add(&key, space.data, space.size);
    cairn_buf_add(&key, name.data, name.size);
    there = overlay_get(overlay, cairn_buf_bytes(&key), &ignored);
    if (!there)
        overlay_put(overlay, cairn_buf_bytes(&key), value);
    cairn_buf_done(&key);
    return there ? bad(import, "a module or type comes twice", err) : commit_if_large(import, import->shards, err);
}

static enum cairn_code take_module(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes space = cairn_read_sized(&r), name = cairn_read_sized(&r);
    struct cairn_bytes value = cairn_bytes(r.at, cairn_reader_left(&r));
    struct imported_module *module;
    uint64_t current, count;

    cairn_read_varint(&r);
    current = cairn_read_varint(&r);
    count = cairn_read_varint(&r);
    for (uint64_t i = 0; !r.bad && i < count; i++) {
        struct cairn_bytes hash;

        cairn_read_varint(&r);
        hash = cairn_read_bytes(&r, CAIRN_SHA256_BYTES);
        cairn_read_varint(&r);
        cairn_read_varint(&r);
        if (!r.bad)
            add_hash(&import->wanted, hash);
    }
    if (!r.bad && !has_space(import, space_payer_name(space)))
        return bad(import, "a module's namespace is missing", err);
    if (r.bad || cairn_reader_left(&r) || !cairn_name_valid(name) || current >= count || count > VERSIONS_MAX ||
        import->module_count == MODULES_MAX)
        return bad(import, "a module makes no sense", err);
    import->modules = cairn_realloc(import->modules, (import->module_count + 1) * sizeof *import->modules);
    module = &import->modules[import->module_count++];
    *module = (struct imported_module){0};
    cairn_buf_add(&module->space, space.data, space.size);
    cairn_buf_add(&module->name, name.data, name.size);
    return put_catalog(import, KEY_MODULE, space, name, value, err);
}

static enum cairn_code take_file(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES] = CAIRN_STORE_MODULES_DIR "/";
    size_t at = strlen(path);
    uint8_t hash[CAIRN_SHA256_BYTES];
    enum cairn_code code;

    cairn_sha256(body, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%02x", hash[i]);
    snprintf(path + at, sizeof path - at, ".wasm");
    code = import->disk->ops->make_dir(import->disk, CAIRN_STORE_MODULES_DIR, err);
    if (code == CAIRN_OK && !has_hash(&import->files, hash))
        code = cairn_disk_replace_file(import->disk, path, body, err);
    if (code == CAIRN_OK)
        add_hash(&import->files, cairn_bytes(hash, sizeof hash));
    return code;
}

static struct imported_type *type_of(const struct cairn_import *import, uint64_t number)
{
    size_t low = 0, high = import->type_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (import->types[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < import->type_count && import->types[low]->number == number ? import->types[low] : NULL;
}

/* Into its place by number. */
static void enter_type(struct cairn_import *import, struct imported_type *type)
{
    size_t at = import->type_count;

    if (import->type_count == import->type_room) {
        import->type_room = import->type_room ? 2 * import->type_room : 32;
        import->types = cairn_realloc(import->types, import->type_room * sizeof *import->types);
    }
    for (; at > 0 && import->types[at - 1]->number > type->number; at--)
        import->types[at] = import->types[at - 1];
    import->types[at] = type;
    import->type_count++;
    if (type->number >= import->type_next)
        import->type_next = type->number + 1;
}

static bool read_fields(struct imported_type *type, struct cairn_reader *r)
{
    uint64_t count = cairn_read_varint(r);

    for (uint64_t i = 0; !r->bad && i < count; i++) {
        struct cairn_bytes name = cairn_read_sized(r);
        uint8_t kind = cairn_read_u8(r);
        uint64_t number = cairn_read_varint(r);

        if (r->bad || !cairn_name_valid(name) || kind < CAIRN_FIELD_VALUE || kind >= CAIRN_FIELD_KINDS_END ||
            number >= CONTAINERS_MAX || type->kinds[number])
            return false;
        type->kinds[number] = kind;
    }
    return !r->bad && !cairn_reader_left(r);
}

static enum cairn_code take_type(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes space = cairn_read_sized(&r), name = cairn_read_sized(&r), module;
    struct cairn_bytes value = cairn_bytes(r.at, cairn_reader_left(&r));
    struct imported_type *type;
    uint64_t number = cairn_read_varint(&r);

    module = cairn_read_sized(&r);
    if (r.bad || !cairn_name_valid(name) || number >= UINT32_MAX || type_of(import, number) ||
        import->type_count == TYPES_MAX)
        return bad(import, "a type makes no sense", err);
    type = cairn_alloc_zeroed(1, sizeof *type);
    type->number = (uint32_t)number;
    cairn_buf_add(&type->space, space.data, space.size);
    cairn_buf_add(&type->module, module.data, module.size);
    enter_type(import, type);
    if (!read_fields(type, &r))
        return bad(import, "a type's fields make no sense", err);
    return put_catalog(import, KEY_TYPE, space, name, value, err);
}

/* That modules have all files, and types a module. */
static enum cairn_code check_catalog(struct cairn_import *import, struct cairn_err *err)
{
    for (size_t at = 0; at < import->wanted.size; at += CAIRN_SHA256_BYTES)
        if (!has_hash(&import->files, import->wanted.data + at))
            return bad(import, "a module's file is missing", err);
    for (size_t i = 0; i < import->type_count; i++) {
        const struct imported_type *type = import->types[i];
        bool there = false;

        for (size_t k = 0; k < import->module_count; k++)
            there |= cairn_bytes_equal(cairn_buf_bytes(&import->modules[k].space), cairn_buf_bytes(&type->space)) &&
                     cairn_bytes_equal(cairn_buf_bytes(&import->modules[k].name), cairn_buf_bytes(&type->module));
        if (!there)
            return bad(import, "a type's module is missing", err);
    }
    return CAIRN_OK;
}

/* --- objects --- */

/* docs/formats/state.md, Placement. */
static uint32_t place_in(const struct cairn_import *import, struct cairn_bytes space, struct cairn_bytes id)
{
    uint64_t slot = (cairn_slot(id) + space_shift(space)) % CAIRN_SLOTS;

    return cairn_store_slots(import->store)[slot];
}

static uint32_t place(const struct cairn_import *import, const struct imported_type *type, struct cairn_bytes id)
{
    return place_in(import, cairn_buf_bytes(&type->space), id);
}

/* Its header, when all of it has come. */
static enum cairn_code end_object(struct cairn_import *import, struct cairn_err *err)
{
    struct cairn_buf header = {0};
    uint32_t shard = import->shard;

    if (shard == NO_OBJECT)
        return CAIRN_OK;
    cairn_put_u64(cairn_buf_reserve(&header, 8), import->incarnation);
    header.size = 8;
    for (size_t i = 0; i < import->extent_count; i++) {
        cairn_buf_varint(&header, import->extents[i].field);
        cairn_buf_varint(&header, 0);
        cairn_buf_varint(&header, import->extents[i].count);
    }
    overlay_put(&import->parts[shard].overlay, cairn_bytes(import->header_key, import->header_key_size),
                cairn_buf_bytes(&header));
    cairn_buf_done(&header);
    import->shard = NO_OBJECT;
    return commit_if_large(import, shard, err);
}

static enum cairn_code take_object(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    const struct imported_type *type = type_of(import, cairn_read_varint(&r));
    struct cairn_bytes id = cairn_bytes(r.at, cairn_reader_left(&r));
    enum cairn_code code;
    struct part *part;

    if (r.bad || !type || !id.size || id.size > CAIRN_ID_BYTES_MAX)
        return bad(import, "an object makes no sense", err);
    import->type = type;
    import->shard = place(import, type, id);
    import->extent_count = 0;
    part = &import->parts[import->shard];
    code = enter_space(import, import->shard, cairn_buf_bytes(&type->space), err);
    if (code != CAIRN_OK)
        return code;
    import->incarnation =
        cairn_shard_log(cairn_store_shard(import->store, import->shard))->epoch << 40 | ++part->incarnations;
    import->header_key_size = key_header(import->header_key, type->number, id);
    if (!directory_add(&part->overlay, type->number, id) && part->overlay.code == CAIRN_OK)
        return bad(import, "an object comes twice", err);
    return CAIRN_OK;
}

/* The field that an item of an object begins with; of the kind that it must have. */
static bool read_field(struct cairn_import *import, struct cairn_reader *r, uint8_t kind, uint32_t *ret_field)
{
    uint64_t field = cairn_read_varint(r);

    if (r->bad || import->shard == NO_OBJECT || field >= CONTAINERS_MAX || import->type->kinds[field] != kind)
        return false;
    *ret_field = (uint32_t)field;
    return true;
}

static struct extent *extent_of(struct cairn_import *import, uint32_t field)
{
    for (size_t i = import->extent_count; i > 0; i--)
        if (import->extents[i - 1].field == field)
            return &import->extents[i - 1];
    assert(import->extent_count < CONTAINERS_MAX); /* a field has one */
    import->extents[import->extent_count] = (struct extent){.field = field};
    return &import->extents[import->extent_count++];
}

static enum cairn_code take_value(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t field;

    if (!read_field(import, &r, CAIRN_FIELD_VALUE, &field) || cairn_reader_left(&r) > CAIRN_VALUE_BYTES_MAX)
        return bad(import, "a value makes no sense", err);
    overlay_put(&import->parts[import->shard].overlay, cairn_bytes(key, key_field(key, import->incarnation, field)),
                cairn_bytes(r.at, cairn_reader_left(&r)));
    return commit_if_large(import, import->shard, err);
}

static enum cairn_code take_entry(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t field;

    if (!read_field(import, &r, CAIRN_FIELD_LIST, &field) || cairn_reader_left(&r) > CAIRN_VALUE_BYTES_MAX)
        return bad(import, "an entry of a list makes no sense", err);
    overlay_put(&import->parts[import->shard].overlay,
                cairn_bytes(key, key_list_entry(key, import->incarnation, field, extent_of(import, field)->count++)),
                cairn_bytes(r.at, cairn_reader_left(&r)));
    return commit_if_large(import, import->shard, err);
}

/* Which kind of map the next item is of, if it is of one. */
static bool is_ordered(const struct cairn_import *import, struct cairn_bytes body)
{
    struct cairn_reader r = cairn_reader(body);
    uint64_t field = cairn_read_varint(&r);

    return !r.bad && import->shard != NO_OBJECT && field < CONTAINERS_MAX &&
           import->type->kinds[field] == CAIRN_FIELD_ORDERED;
}

static enum cairn_code take_ordered_pair(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes name;
    struct ordered map;
    uint32_t field;

    if (!read_field(import, &r, CAIRN_FIELD_ORDERED, &field))
        return bad(import, "an entry of an ordered map makes no sense", err);
    name = cairn_read_sized(&r);
    if (r.bad || name.size > MAP_KEY_BYTES_MAX || cairn_reader_left(&r) > CAIRN_VALUE_BYTES_MAX)
        return bad(import, "an entry of an ordered map makes no sense", err);
    ordered_init(&map, &import->parts[import->shard].overlay, import->incarnation, field);
    if (!ordered_put(&map, name, cairn_bytes(r.at, cairn_reader_left(&r))))
        return bad(import, "an ordered map has an entry twice", err);
    extent_of(import, field)->count++;
    return commit_if_large(import, import->shard, err);
}

static enum cairn_code take_pair(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct overlay *overlay;
    uint8_t key[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_buf value = {0};
    struct cairn_bytes name, ignored;
    struct extent *extent;
    size_t key_size;
    uint32_t field;

    if (is_ordered(import, body))
        return take_ordered_pair(import, body, err);
    if (!read_field(import, &r, CAIRN_FIELD_MAP, &field))
        return bad(import, "an entry of a map makes no sense", err);
    name = cairn_read_sized(&r);
    if (r.bad || name.size > MAP_KEY_BYTES_MAX || cairn_reader_left(&r) > CAIRN_VALUE_BYTES_MAX)
        return bad(import, "an entry of a map makes no sense", err);
    overlay = &import->parts[import->shard].overlay;
    extent = extent_of(import, field);
    key_size = key_map_entry(key, import->incarnation, field, name);
    if (overlay_get(overlay, cairn_bytes(key, key_size), &ignored))
        return bad(import, "a map has an entry twice", err);
    cairn_buf_varint(&value, extent->count);
    cairn_buf_add(&value, r.at, cairn_reader_left(&r));
    overlay_put(overlay, cairn_bytes(key, key_size), cairn_buf_bytes(&value));
    cairn_buf_done(&value);
    overlay_put(overlay, cairn_bytes(key, key_map_place(key, import->incarnation, field, extent->count++)), name);
    return commit_if_large(import, import->shard, err);
}

/* --- idempotency keys --- */

static enum cairn_code take_key(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    uint64_t number_of_type = cairn_read_varint(&r);
    const struct imported_type *type = type_of(import, number_of_type & ~(uint64_t)SEND_KEYS_BIT);
    struct cairn_bytes id = cairn_read_sized(&r), method = cairn_read_sized(&r), name = cairn_read_sized(&r), head;
    struct cairn_buf key = {0}, value = {0};
    struct cairn_bytes outcome;
    struct part *part;
    uint8_t age[9];
    uint64_t ms, number, dropped = 0;
    uint32_t shard;
    bool apart;

    head = cairn_read_bytes(&r, 9); /* state, hash of the arguments */
    ms = cairn_read_varint(&r);
    if (r.bad || !type || !id.size || id.size > CAIRN_ID_BYTES_MAX || !cairn_name_valid(method) || !name.size ||
        name.size > ONCE_KEY_BYTES_MAX || head.data[0] < 1 || head.data[0] > ONCE_STATE_MAX)
        return bad(import, "an idempotency key makes no sense", err);
    shard = place(import, type, id);
    part = &import->parts[shard];
    cairn_buf_u8(&key, KEY_ONCE);
    cairn_buf_varint(&key, number_of_type);
    cairn_buf_varint(&key, id.size);
    cairn_buf_add(&key, id.data, id.size);
    cairn_buf_varint(&key, method.size);
    cairn_buf_add(&key, method.data, method.size);
    cairn_buf_add(&key, name.data, name.size);
    outcome = cairn_bytes(r.at, cairn_reader_left(&r));
    apart = outcome.size > OUTCOME_INLINE_BYTES_MAX;
    cairn_buf_u8(&value, apart ? head.data[0] | OUTCOME_APART : head.data[0]);
    cairn_buf_add(&value, head.data + 1, head.size - 1);
    cairn_buf_varint(&value, ms);
    cairn_buf_varint(&value, part->keys);
    if (apart) {
        outcome_keep(&part->overlay, &part->outcomes, UINT64_MAX, outcome, &number, &dropped);
        cairn_buf_varint(&value, outcome.size);
        cairn_buf_varint(&value, number + 1);
    } else {
        cairn_buf_add(&value, outcome.data, outcome.size);
    }
    overlay_put(&part->overlay, cairn_buf_bytes(&key), cairn_buf_bytes(&value));
    overlay_put(&part->overlay, cairn_bytes(age, key_numbered(age, KEY_ONCE_AGE, part->keys++)), cairn_buf_bytes(&key));
    cairn_buf_done(&key);
    cairn_buf_done(&value);
    return commit_if_large(import, shard, err);
}

/* --- messages and timers --- */

static enum cairn_code take_message(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct posted posted;
    uint32_t shard = 0; /* of one whose shard cannot be told */
    enum cairn_code code;
    bool good = posted_decode(body, &posted) && posted.state <= POSTED_DEAD && !posted.timer.size;

    if (good && !(posted.flags & POSTED_SPOILED)) {
        good = posted.id.size && posted.id.size <= CAIRN_ID_BYTES_MAX && cairn_name_valid(posted.type) &&
               cairn_name_valid(posted.method) && has_space(import, space_payer_name(posted.space));
        shard = good ? place_in(import, posted.space, posted.id) : 0;
    }
    if (!good || (posted.flags & POSTED_SPOILED && posted.state != POSTED_DEAD))
        return bad(import, "a message makes no sense", err);
    code = enter_space(import, shard, posted.space, err);
    if (code != CAIRN_OK)
        return code;
    carried_put_message(&import->parts[shard].overlay, &import->parts[shard].carried, &posted);
    return commit_if_large(import, shard, err);
}

/* Its object has come already. */
static enum cairn_code take_timer(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    const struct imported_type *type = type_of(import, cairn_read_varint(&r));
    struct cairn_bytes id = cairn_read_sized(&r), name = cairn_read_sized(&r), header;
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct overlay *overlay;
    struct timer timer, ignored;
    uint64_t incarnation;
    enum cairn_code code;
    uint32_t shard;

    if (r.bad || !type || !id.size || id.size > CAIRN_ID_BYTES_MAX || !name.size || name.size > TIMER_NAME_BYTES_MAX ||
        !timer_decode(cairn_bytes(r.at, cairn_reader_left(&r)), &timer) || timer.state != TIMER_PENDING ||
        timer.type != type->number || !cairn_bytes_equal(timer.id, id) || !cairn_name_valid(timer.method))
        return bad(import, "a timer makes no sense", err);
    shard = place(import, type, id);
    code = enter_space(import, shard, cairn_buf_bytes(&type->space), err);
    if (code != CAIRN_OK)
        return code;
    overlay = &import->parts[shard].overlay;
    if (!overlay_get(overlay, cairn_bytes(key, key_header(key, type->number, id)), &header) || header.size < 8)
        return overlay->code == CAIRN_OK ? bad(import, "a timer's object is missing", err) : commit(import, shard, err);
    incarnation = cairn_get_u64(header.data);
    if (timers_get(overlay, incarnation, name, &ignored))
        return bad(import, "an object has a timer twice", err);
    carried_put_timer(overlay, incarnation, name, &timer);
    return commit_if_large(import, shard, err);
}

/* --- all of it --- */

enum cairn_code cairn_import_open(const struct cairn_store_options *store, struct cairn_import **ret_import,
                                  struct cairn_err *err)
{
    struct cairn_import *import = cairn_alloc_zeroed(1, sizeof *import);
    enum cairn_code code = cairn_fill_begin(store, &import->store, err);
    size_t share;

    if (code != CAIRN_OK) {
        free(import);
        return code;
    }
    import->disk = store->disk;
    import->shard = NO_OBJECT;
    import->shards = cairn_store_shards(import->store);
    share = ALL_RECORDS_BYTES / (import->shards + 1);
    import->record_bytes = share < RECORD_BYTES_LEAST  ? RECORD_BYTES_LEAST : share > RECORD_BYTES_MOST
                                                                              ? RECORD_BYTES_MOST
                                                                              : share;
    import->parts = cairn_alloc_zeroed(import->shards + 1, sizeof *import->parts);
    for (uint32_t i = 0; i <= import->shards; i++)
        overlay_reset(&import->parts[i].overlay, cairn_shard_view(cairn_store_shard(import->store, i)));
    *ret_import = import;
    return CAIRN_OK;
}

static enum cairn_code take_about(struct cairn_import *import, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);

    import->wall_ms = cairn_read_varint(&r);
    return r.bad ? bad(import, "it does not say when it is of", err) : CAIRN_OK;
}

static enum cairn_code take(struct cairn_import *import, const struct stream_item *item, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (item->kind < STREAM_VALUE || item->kind > STREAM_PAIR)
        code = end_object(import, err);
    if (code != CAIRN_OK)
        return code;
    switch (item->kind) {
    case STREAM_ABOUT:
        return take_about(import, item->body, err);
    case STREAM_SPACE:
        return take_space(import, item->body, err);
    case STREAM_MODULE:
        return take_module(import, item->body, err);
    case STREAM_FILE:
        return take_file(import, item->body, err);
    case STREAM_TYPE:
        return take_type(import, item->body, err);
    case STREAM_OBJECT:
        return take_object(import, item->body, err);
    case STREAM_VALUE:
        return take_value(import, item->body, err);
    case STREAM_ENTRY:
        return take_entry(import, item->body, err);
    case STREAM_PAIR:
        return take_pair(import, item->body, err);
    case STREAM_KEY:
        return take_key(import, item->body, err);
    case STREAM_MESSAGE:
        return take_message(import, item->body, err);
    case STREAM_TIMER:
        return take_timer(import, item->body, err);
    case STREAM_END:
    case STREAM_KINDS:
        break;
    }
    return CAIRN_OK;
}

enum cairn_code cairn_import_add(struct cairn_import *import, struct cairn_bytes bytes, struct cairn_err *err)
{
    enum stream_state state = STREAM_HAS;
    struct stream_item item;
    enum cairn_code code = CAIRN_OK;

    stream_reader_add(&import->reader, bytes);
    while (code == CAIRN_OK && state == STREAM_HAS) {
        code = stream_next(&import->reader, &state, &item, err);
        if (code == CAIRN_OK && state == STREAM_HAS)
            code = take(import, &item, err);
    }
    return code;
}

/* What is written once all is known. */
static enum cairn_code write_numbers(struct cairn_import *import, struct cairn_err *err)
{
    uint8_t key = KEY_TYPE_NEXT, number[CAIRN_VARINT_BYTES_MAX];

    if (import->type_count)
        overlay_put(&import->parts[import->shards].overlay, cairn_bytes(&key, 1),
                    cairn_bytes(number, cairn_put_varint(number, import->type_next)));
    for (uint32_t i = 0; i <= import->shards; i++) {
        struct part *part = &import->parts[i];
        struct cairn_buf meta = {0};
        enum cairn_code code;

        key = KEY_META;
        if (part->keys) {
            cairn_buf_varint(&meta, 0);
            cairn_buf_varint(&meta, part->keys);
            cairn_buf_varint(&meta, 0);
            cairn_buf_varint(&meta, 0);
            cairn_buf_varint(&meta, part->outcomes.first);
            cairn_buf_varint(&meta, part->outcomes.end);
            cairn_buf_varint(&meta, part->outcomes.bytes);
            overlay_put(&part->overlay, cairn_bytes(&key, 1), cairn_buf_bytes(&meta));
            cairn_buf_done(&meta);
        }
        carried_put_numbers(&part->overlay, &part->carried);
        code = commit(import, i, err);
        if (code != CAIRN_OK)
            return code;
    }
    return CAIRN_OK;
}

static void import_free(struct cairn_import *import)
{
    for (uint32_t i = 0; i <= import->shards; i++)
        overlay_done(&import->parts[i].overlay);
    free(import->parts);
    for (size_t i = 0; i < import->space_count; i++)
        cairn_buf_done(&import->spaces[i].name);
    free(import->spaces);
    for (size_t i = 0; i < import->module_count; i++) {
        cairn_buf_done(&import->modules[i].space);
        cairn_buf_done(&import->modules[i].name);
    }
    free(import->modules);
    for (size_t i = 0; i < import->type_count; i++) {
        cairn_buf_done(&import->types[i]->space);
        cairn_buf_done(&import->types[i]->module);
        free(import->types[i]);
    }
    free(import->types);
    cairn_buf_done(&import->wanted);
    cairn_buf_done(&import->files);
    stream_reader_done(&import->reader);
    free(import);
}

enum cairn_code cairn_import_finish(struct cairn_import *import, struct stream_counts *ret_counts,
                                    struct cairn_err *err)
{
    struct cairn_store *store = import->store;
    enum cairn_code code = stream_check_end(&import->reader, err);

    if (code == CAIRN_OK)
        code = check_catalog(import, err);
    if (code == CAIRN_OK)
        code = write_numbers(import, err);
    if (code == CAIRN_OK && import->files.size)
        code = import->disk->ops->sync_dir(import->disk, CAIRN_STORE_MODULES_DIR, err);
    if (code == CAIRN_OK && import->files.size)
        code = import->disk->ops->sync_dir(import->disk, "", err);
    if (code != CAIRN_OK) {
        cairn_import_abandon(import);
        return code;
    }
    if (ret_counts)
        *ret_counts = import->reader.counts;
    import_free(import);
    return cairn_fill_end(store, err);
}

void cairn_import_abandon(struct cairn_import *import)
{
    if (!import)
        return;
    cairn_store_abandon(import->store);
    import_free(import);
}

const struct stream_counts *cairn_import_counts(const struct cairn_import *import)
{
    return &import->reader.counts;
}
