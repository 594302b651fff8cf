#include "transfer/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/value.h"
#include "object/directory.h"
#include "object/durable.h"
#include "object/space.h"
#include "object/ordered.h"
#include "object/outcome.h"
#include "object/quota.h"
#include "object/send.h"
#include "transfer/carried.h"

enum {
    IDS_BYTES = 64 << 10, /* read from the directory at a time */
    CONTAINERS_MAX = CAIRN_FIELD_NUMBER_MAX + 1,
    KEYS_PER_STEP = 64,
    KEY_OVER_SOME = 3, /* docs/formats/state.md */
};

/* What the system shard has. */
struct catalog_line {
    uint8_t kind;                /* KEY_SPACE, KEY_MODULE or KEY_TYPE */
    struct cairn_buf key, value; /* without the key's first byte */
};

struct field {
    uint32_t number;
    uint8_t kind;
};

struct exported_type {
    uint32_t number;
    struct field *fields;
    size_t field_count;
};

enum phase {
    PHASE_CATALOG,
    PHASE_SHARD,
    PHASE_IDS,
    PHASE_OBJECT,
    PHASE_KEYS,
    PHASE_CARRIED,      /* messages in lines, and timers */
    PHASE_MARKS,        /* what of those on their way to other shards has come there: */
    PHASE_ON_THEIR_WAY, /* the rest */
    PHASE_END,
    PHASE_OVER
};

struct extent {
    uint32_t field;
    uint64_t first, count;
};

struct cairn_export {
    struct cairn_export_options options;
    struct stream_writer writer;
    enum phase phase;
    struct catalog_line *lines;
    size_t line_count, line_room;
    struct exported_type *types;
    size_t type_count;
    uint32_t *numbers; /* of the types, ascending */
    /* Where it is: */
    uint32_t shard;
    struct cairn_view *view;
    struct overlay overlay;
    size_t type;
    struct cairn_buf ids; /* sized each */
    size_t id_at;
    struct cairn_buf after; /* the last id of these */
    bool ids_over;
    /* the object: */
    uint64_t incarnation;
    size_t value; /* of the type's fields */
    struct extent extents[CONTAINERS_MAX];
    size_t extent_count, extent;
    uint64_t entry;
    struct cairn_buf name; /* of an ordered map: the last key */
    /* keys: */
    uint64_t key, key_end;
    struct carried carried;
};

static enum cairn_code unreadable(struct cairn_export *export, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "%s in shard %" PRIu32 " cannot be read", what, export->shard);
}

/* A read of the shard.  *ret_there false: there is no such key. */
static enum cairn_code get(struct cairn_export *export, struct cairn_bytes key, struct cairn_bytes *ret_value,
                           bool *ret_there, struct cairn_err *err)
{
    *ret_there = export->view->ops->get(export->view, key, cairn_hash(key), ret_value);
    return *ret_there ? CAIRN_OK : cairn_engine_take_failure(export->view, err);
}

static enum cairn_code must_get(struct cairn_export *export, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                struct cairn_err *err)
{
    bool there;
    enum cairn_code code = get(export, key, ret_value, &there, err);

    return code == CAIRN_OK && !there ? unreadable(export, "an object", err) : code;
}

/* --- namespaces, modules and types --- */

static bool is_wanted(const struct cairn_export *export, struct cairn_bytes key)
{
    struct cairn_reader r = cairn_reader(key);
    uint8_t kind = cairn_read_u8(&r);
    struct cairn_bytes space;

    if (kind != KEY_SPACE && kind != KEY_MODULE && kind != KEY_TYPE)
        return false;
    space = kind == KEY_SPACE ? cairn_bytes(r.at, cairn_reader_left(&r)) : cairn_read_sized(&r);
    return !export->options.space.size || cairn_bytes_equal(space_payer_name(space), export->options.space);
}

static void take_line(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_export *export = context;
    struct catalog_line *line;

    if (!is_wanted(export, key))
        return;
    if (export->line_count == export->line_room) {
        export->line_room = export->line_room ? 2 * export->line_room : 64;
        export->lines = cairn_realloc(export->lines, export->line_room * sizeof *export->lines);
    }
    line = &export->lines[export->line_count++];
    *line = (struct catalog_line){.kind = key.data[0]};
    cairn_buf_add(&line->key, key.data + 1, key.size - 1);
    cairn_buf_add(&line->value, value.data, value.size);
}

/* Namespaces, then modules, then types. */
static int rank(uint8_t kind)
{
    return kind == KEY_SPACE ? 0 : kind == KEY_MODULE ? 1 : 2;
}

static int by_key(const void *a, const void *b)
{
    const struct catalog_line *x = a, *y = b;

    if (x->kind != y->kind)
        return rank(x->kind) - rank(y->kind);
    return cairn_bytes_compare(cairn_buf_bytes(&x->key), cairn_buf_bytes(&y->key));
}

/* "sized space, name" becomes "sized space, sized name". */
static enum cairn_code add_line(struct cairn_export *export, const struct catalog_line *line, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&line->key));
    struct cairn_bytes space = cairn_read_sized(&r), name = cairn_bytes(r.at, cairn_reader_left(&r)), body;
    struct cairn_buf item = {0};
    enum cairn_code code;

    if (r.bad)
        return unreadable(export, "a module's or type's name", err);
    cairn_buf_varint(&item, space.size);
    cairn_buf_add(&item, space.data, space.size);
    cairn_buf_varint(&item, name.size);
    cairn_buf_add(&item, name.data, name.size);
    cairn_buf_add(&item, line->value.data, line->value.size);
    body = cairn_buf_bytes(&item);
    code = stream_add(&export->writer, line->kind == KEY_TYPE ? STREAM_TYPE : STREAM_MODULE, &body, 1, err);
    cairn_buf_done(&item);
    return code;
}

static enum cairn_code add_space(struct cairn_export *export, const struct catalog_line *line, struct cairn_err *err)
{
    uint8_t size[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes pieces[3] = {
        {size, cairn_put_varint(size, line->key.size)}, cairn_buf_bytes(&line->key), cairn_buf_bytes(&line->value)};
    uint64_t created_ms, limits[SPACE_LIMITS];
    bool removing;

    if (!quota_read(pieces[2], &created_ms, &removing, limits))
        return unreadable(export, "a namespace's record", err);
    if (removing)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "the namespace %.*s is being removed, with all that it has; export again when it is gone",
                          (int)line->key.size, (const char *)line->key.data);
    return stream_add(&export->writer, STREAM_SPACE, pieces, 3, err);
}

static enum cairn_code read_type(struct cairn_export *export, const struct catalog_line *line, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&line->value));
    struct exported_type *type;

    export->types = cairn_realloc(export->types, (export->type_count + 1) * sizeof *export->types);
    type = &export->types[export->type_count++];
    *type = (struct exported_type){.number = (uint32_t)cairn_read_varint(&r)};
    cairn_read_sized(&r);
    type->field_count = (size_t)cairn_read_varint(&r);
    if (r.bad || type->field_count > CONTAINERS_MAX) {
        type->field_count = 0;
        return unreadable(export, "a type's record", err);
    }
    type->fields = cairn_alloc_zeroed(type->field_count + 1, sizeof *type->fields);
    for (size_t i = 0; i < type->field_count; i++) {
        cairn_read_sized(&r);
        type->fields[i].kind = cairn_read_u8(&r);
        type->fields[i].number = (uint32_t)cairn_read_varint(&r);
    }
    return r.bad ? unreadable(export, "a type's record", err) : CAIRN_OK;
}

/* The first `count` hashes of `seen` have been written. */
static bool is_seen(const struct cairn_buf *seen, struct cairn_bytes hash)
{
    for (size_t at = 0; at < seen->size; at += CAIRN_SHA256_BYTES)
        if (memcmp(seen->data + at, hash.data, CAIRN_SHA256_BYTES) == 0)
            return true;
    return false;
}

static enum cairn_code add_file(struct cairn_export *export, struct cairn_bytes hash, struct cairn_buf *seen,
                                struct cairn_buf *to, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES] = CAIRN_STORE_MODULES_DIR "/";
    size_t at = strlen(path);
    uint8_t found[CAIRN_SHA256_BYTES];
    struct cairn_buf wasm = {0};
    struct cairn_bytes body;
    enum cairn_code code;

    if (is_seen(seen, hash))
        return CAIRN_OK;
    cairn_buf_add(seen, hash.data, hash.size);
    for (size_t i = 0; i < hash.size; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%02x", hash.data[i]);
    snprintf(path + at, sizeof path - at, ".wasm");
    code = cairn_disk_read_file(export->options.disk, path, STREAM_FILE_BYTES_MAX, &wasm, err);
    body = cairn_buf_bytes(&wasm);
    if (code == CAIRN_OK) {
        cairn_sha256(body, found);
        if (memcmp(found, hash.data, hash.size) != 0)
            code = cairn_fail(err, CAIRN_ECORRUPT,
                              "%s: the content is not what its name says; put the module's file back there", path);
    }
    if (code == CAIRN_OK)
        code = stream_add(&export->writer, STREAM_FILE, &body, 1, err);
    if (code == CAIRN_OK && export->writer.part.size >= STREAM_PART_BYTES)
        stream_flush(&export->writer, to);
    cairn_buf_done(&wasm);
    return code;
}

/* The files of a module's versions. */
static enum cairn_code add_files(struct cairn_export *export, const struct catalog_line *line, struct cairn_buf *seen,
                                 struct cairn_buf *to, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&line->value));
    enum cairn_code code = CAIRN_OK;
    uint64_t count;

    cairn_read_varint(&r);
    cairn_read_varint(&r);
    count = cairn_read_varint(&r);
    for (uint64_t i = 0; code == CAIRN_OK && !r.bad && i < count; i++) {
        struct cairn_bytes hash;

        cairn_read_varint(&r);
        hash = cairn_read_bytes(&r, CAIRN_SHA256_BYTES);
        cairn_read_varint(&r);
        cairn_read_varint(&r);
        if (!r.bad)
            code = add_file(export, hash, seen, to, err);
    }
    return code == CAIRN_OK && r.bad ? unreadable(export, "a module's record", err) : code;
}

static enum cairn_code add_about(struct cairn_export *export, struct cairn_err *err)
{
    struct cairn_store *store = cairn_moment_store(export->options.moment);
    const char *engine = cairn_store_engine(store);
    struct cairn_buf item = {0};
    struct cairn_bytes body;
    enum cairn_code code;

    cairn_buf_varint(&item, cairn_moment_wall_ms(export->options.moment));
    cairn_buf_varint(&item, cairn_store_shards(store));
    cairn_buf_varint(&item, strlen(engine));
    cairn_buf_str(&item, engine);
    cairn_buf_varint(&item, strlen(export->options.program));
    cairn_buf_str(&item, export->options.program);
    body = cairn_buf_bytes(&item);
    code = stream_add(&export->writer, STREAM_ABOUT, &body, 1, err);
    cairn_buf_done(&item);
    return code;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void number_types(struct cairn_export *export)
{
    export->numbers = cairn_alloc_zeroed(export->type_count + 1, sizeof *export->numbers);
    for (size_t i = 0; i < export->type_count; i++)
        export->numbers[i] = export->types[i].number;
    qsort(export->numbers, export->type_count, sizeof *export->numbers, compare_numbers);
}

static bool has_type(const struct cairn_export *export, uint64_t number)
{
    uint32_t wanted = (uint32_t)number;

    return wanted == number &&
           bsearch(&wanted, export->numbers, export->type_count, sizeof *export->numbers, compare_numbers) != NULL;
}

static enum cairn_code do_catalog(struct cairn_export *export, struct cairn_buf *to, struct cairn_err *err)
{
    struct cairn_buf seen = {0};
    enum cairn_code code;

    stream_begin(to);
    export->shard = cairn_store_shards(cairn_moment_store(export->options.moment));
    code = cairn_moment_system(export->options.moment, take_line, export, err);
    if (export->line_count)
        qsort(export->lines, export->line_count, sizeof *export->lines, by_key);
    if (code == CAIRN_OK)
        code = add_about(export, err);
    for (size_t i = 0; code == CAIRN_OK && i < export->line_count; i++) {
        const struct catalog_line *line = &export->lines[i];

        code = line->kind == KEY_SPACE ? add_space(export, line, err) : add_line(export, line, err);
        if (code == CAIRN_OK && line->kind == KEY_TYPE)
            code = read_type(export, line, err);
        if (code == CAIRN_OK && line->kind == KEY_MODULE)
            code = add_files(export, line, &seen, to, err);
        if (export->writer.part.size >= STREAM_PART_BYTES)
            stream_flush(&export->writer, to);
    }
    cairn_buf_done(&seen);
    number_types(export);
    export->shard = 0;
    export->phase = PHASE_SHARD;
    return code;
}

/* --- a shard --- */

static enum cairn_code do_shard(struct cairn_export *export, struct cairn_err *err)
{
    uint8_t key = KEY_META;
    struct cairn_bytes value;
    bool there;
    enum cairn_code code;

    if (export->shard == cairn_store_shards(cairn_moment_store(export->options.moment))) {
        export->phase = PHASE_MARKS;
        carried_sort(&export->carried, true);
        return CAIRN_OK;
    }
    code = cairn_moment_shard(export->options.moment, export->shard, &export->view, err);
    if (code != CAIRN_OK)
        return code;
    overlay_reset(&export->overlay, export->view);
    if (durable_any(&export->overlay))
        return cairn_fail(
            err, CAIRN_ECONFLICT,
            "durable invocations are open, which an export does not carry: let the node run until they are "
            "over, and export again");
    code = carried_begin(&export->carried, &export->overlay, export->shard, err);
    if (code != CAIRN_OK)
        return code;
    export->key = export->key_end = 0;
    code = get(export, cairn_bytes(&key, 1), &value, &there, err);
    if (code == CAIRN_OK && there) {
        struct cairn_reader r = cairn_reader(value);

        export->key = cairn_read_varint(&r);
        export->key_end = cairn_read_varint(&r);
        if (r.bad)
            code = unreadable(export, "the numbers of keys", err);
    }
    export->type = 0;
    export->ids.size = export->id_at = export->after.size = 0;
    export->ids_over = false;
    export->phase = PHASE_IDS;
    return code;
}

static bool take_id(void *context, struct cairn_bytes id)
{
    struct cairn_export *export = context;

    cairn_buf_varint(&export->ids, id.size);
    cairn_buf_add(&export->ids, id.data, id.size);
    return export->ids.size < IDS_BYTES;
}

/* More ids of the type that it is at. */
static enum cairn_code read_ids(struct cairn_export *export, struct cairn_err *err)
{
    export->ids.size = export->id_at = 0;
    overlay_reset(&export->overlay, export->view);
    directory_scan(&export->overlay, export->types[export->type].number, cairn_bytes(NULL, 0),
                   cairn_buf_bytes(&export->after), take_id, export);
    export->ids_over = export->ids.size < IDS_BYTES;
    if (export->overlay.code == CAIRN_OK)
        return CAIRN_OK;
    if (err)
        *err = export->overlay.err;
    return export->overlay.code;
}

static enum cairn_code begin_object(struct cairn_export *export, struct cairn_bytes id, struct cairn_err *err)
{
    uint32_t type = export->types[export->type].number;
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX], number[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes value, pieces[2] = {{number, cairn_put_varint(number, type)}, id};
    struct cairn_reader r;
    enum cairn_code code;

    if (id.size > CAIRN_ID_BYTES_MAX)
        return unreadable(export, "an id", err);
    code = must_get(export, cairn_bytes(key, key_header(key, type, id)), &value, err);
    if (code != CAIRN_OK)
        return code;
    r = cairn_reader(value);
    export->incarnation = cairn_read_u64(&r);
    export->extent_count = export->extent = export->value = 0;
    export->entry = 0;
    while (!r.bad && cairn_reader_left(&r)) {
        struct extent *extent = &export->extents[export->extent_count];

        if (export->extent_count == CONTAINERS_MAX)
            return unreadable(export, "an object's header", err);
        extent->field = (uint32_t)cairn_read_varint(&r);
        extent->first = cairn_read_varint(&r);
        extent->count = cairn_read_varint(&r);
        export->extent_count++;
    }
    if (r.bad)
        return unreadable(export, "an object's header", err);
    export->phase = PHASE_OBJECT;
    return stream_add(&export->writer, STREAM_OBJECT, pieces, 2, err);
}

static enum cairn_code do_ids(struct cairn_export *export, struct cairn_err *err)
{
    struct cairn_reader r;
    struct cairn_bytes id;
    enum cairn_code code;

    if (export->type == export->type_count) {
        export->phase = PHASE_KEYS;
        return CAIRN_OK;
    }
    if (export->id_at == export->ids.size && !export->ids_over) {
        code = read_ids(export, err);
        if (code != CAIRN_OK)
            return code;
    }
    if (export->id_at == export->ids.size) {
        export->type++;
        export->after.size = 0;
        export->ids_over = false;
        return CAIRN_OK;
    }
    r = cairn_reader(cairn_bytes(export->ids.data + export->id_at, export->ids.size - export->id_at));
    id = cairn_read_sized(&r);
    export->id_at = (size_t)(r.at - export->ids.data);
    export->after.size = 0;
    cairn_buf_add(&export->after, id.data, id.size);
    return begin_object(export, id, err);
}

static enum cairn_code add_value(struct cairn_export *export, uint32_t field, struct cairn_err *err)
{
    uint8_t key[FIELD_KEY_FIXED_MAX], number[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes pieces[2] = {{number, cairn_put_varint(number, field)}};
    bool there;
    enum cairn_code code =
        get(export, cairn_bytes(key, key_field(key, export->incarnation, field)), &pieces[1], &there, err);

    return code == CAIRN_OK && there ? stream_add(&export->writer, STREAM_VALUE, pieces, 2, err) : code;
}

static enum cairn_code add_pair(struct cairn_export *export, const struct extent *extent, struct cairn_bytes name,
                                struct cairn_err *err)
{
    uint8_t key[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX], head[2 * CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes value, pieces[3];
    struct cairn_reader r;
    size_t n;
    enum cairn_code code;

    if (name.size > MAP_KEY_BYTES_MAX)
        return unreadable(export, "a map's key", err);
    code =
        must_get(export, cairn_bytes(key, key_map_entry(key, export->incarnation, extent->field, name)), &value, err);
    if (code != CAIRN_OK)
        return code;
    r = cairn_reader(value);
    if (cairn_read_varint(&r) != export->entry || r.bad)
        return unreadable(export, "a map's entry", err);
    n = cairn_put_varint(head, extent->field);
    n += cairn_put_varint(head + n, name.size);
    pieces[0] = cairn_bytes(head, n);
    pieces[1] = name;
    pieces[2] = cairn_bytes(r.at, cairn_reader_left(&r));
    return stream_add(&export->writer, STREAM_PAIR, pieces, 3, err);
}

static enum cairn_code add_entry(struct cairn_export *export, const struct extent *extent, uint8_t kind,
                                 struct cairn_err *err)
{
    uint8_t key[FIELD_KEY_FIXED_MAX], number[CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes pieces[2] = {{number, cairn_put_varint(number, extent->field)}};
    enum cairn_code code;

    if (kind == CAIRN_FIELD_MAP) {
        code = must_get(export, cairn_bytes(key, key_map_place(key, export->incarnation, extent->field, export->entry)),
                        &pieces[1], err);
        return code == CAIRN_OK ? add_pair(export, extent, pieces[1], err) : code;
    }
    code = must_get(
        export,
        cairn_bytes(key, key_list_entry(key, export->incarnation, extent->field, extent->first + export->entry)),
        &pieces[1], err);
    return code == CAIRN_OK ? stream_add(&export->writer, STREAM_ENTRY, pieces, 2, err) : code;
}

struct ordered_reader {
    struct cairn_taker taker; /* first */
    struct cairn_export *export;
    uint32_t field;
    enum cairn_code code;
    struct cairn_err *err;
};

static bool take_ordered(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct ordered_reader *reader = (struct ordered_reader *)taker;
    struct cairn_export *export = reader->export;
    uint8_t head[2 * CAIRN_VARINT_BYTES_MAX];
    size_t n = cairn_put_varint(head, reader->field);
    struct cairn_bytes pieces[3];

    n += cairn_put_varint(head + n, key.size);
    pieces[0] = cairn_bytes(head, n);
    pieces[1] = key;
    pieces[2] = value;
    reader->code = stream_add(&export->writer, STREAM_PAIR, pieces, 3, reader->err);
    export->name.size = 0;
    cairn_buf_add(&export->name, key.data, key.size);
    export->entry++;
    return reader->code == CAIRN_OK;
}

/* Some entries of an ordered map. */
static enum cairn_code add_ordered(struct cairn_export *export, const struct extent *extent, struct cairn_err *err)
{
    struct ordered_reader reader = {
        .taker = {.take = take_ordered, .want = KEYS_PER_STEP}, .export = export, .field = extent->field, .err = err};
    struct cairn_range range = {.no_high = true, .above_low = export->entry > 0};
    struct cairn_buf low = {0};
    uint64_t before = export->entry;
    struct ordered map;

    if (range.above_low)
        cairn_buf_add(&low, export->name.data, export->name.size);
    range.low = cairn_buf_bytes(&low);
    overlay_reset(&export->overlay, export->view);
    ordered_init(&map, &export->overlay, export->incarnation, extent->field);
    ordered_read(&map, &range, &reader.taker);
    cairn_buf_done(&low);
    if (export->overlay.code != CAIRN_OK) {
        *err = export->overlay.err;
        return export->overlay.code;
    }
    if (reader.code == CAIRN_OK && (export->entry == before || export->entry > extent->count))
        return unreadable(export, "an ordered map", err);
    return reader.code;
}

/* The kind of a field of the type; 0: it has none of that number. */
static uint8_t kind_of(const struct exported_type *type, uint32_t number)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].number == number)
            return type->fields[i].kind;
    return 0;
}

/* One field's value, or one entry. */
static enum cairn_code do_object(struct cairn_export *export, struct cairn_err *err)
{
    const struct exported_type *type = &export->types[export->type];
    const struct extent *extent;
    enum cairn_code code;
    uint8_t kind;

    if (export->value < type->field_count) {
        const struct field *field = &type->fields[export->value++];

        return field->kind == CAIRN_FIELD_VALUE ? add_value(export, field->number, err) : CAIRN_OK;
    }
    if (export->extent == export->extent_count) {
        export->phase = PHASE_IDS;
        return CAIRN_OK;
    }
    extent = &export->extents[export->extent];
    if (export->entry == extent->count) {
        export->extent++;
        export->entry = 0;
        return CAIRN_OK;
    }
    kind = kind_of(type, extent->field);
    if (kind == CAIRN_FIELD_ORDERED)
        return add_ordered(export, extent, err);
    if (kind != CAIRN_FIELD_LIST && kind != CAIRN_FIELD_MAP)
        return unreadable(export, "a field that its type does not have", err);
    code = add_entry(export, extent, kind, err);
    if (code == CAIRN_OK)
        export->entry++;
    return code;
}

/* --- idempotency keys --- */

/* The outcome that a key has apart, or what is said instead of it; `r` is behind the key's number. */
static enum cairn_code outcome_apart(struct cairn_export *export, struct cairn_reader *r, uint8_t *state,
                                     struct cairn_buf *to, struct cairn_err *err)
{
    uint64_t bytes = cairn_read_varint(r), place = cairn_read_varint(r);
    struct cairn_bytes outcome;
    char text[OUTCOME_GONE_TEXT_BYTES];
    enum cairn_code code;

    if (r->bad)
        return unreadable(export, "an idempotency key", err);
    *state &= (uint8_t)~OUTCOME_APART;
    if (place && outcome_get(export->view, place - 1, &outcome)) {
        cairn_buf_add(to, outcome.data, outcome.size);
        return CAIRN_OK;
    }
    code = cairn_engine_take_failure(export->view, err);
    outcome_gone_text(bytes, text);
    cairn_value_add_error(to, cairn_str(cairn_code_name(CAIRN_EGONE)), cairn_str(text));
    *state = KEY_OVER_SOME;
    return code;
}

/* 04 key: type, sized id, sized method, key.  Value: state, hash, ms, number, outcome. */
static enum cairn_code add_key(struct cairn_export *export, struct cairn_bytes key, struct cairn_bytes value,
                               struct cairn_err *err)
{
    struct cairn_reader k = cairn_reader(key), v = cairn_reader(value);
    struct cairn_bytes id, method, name, head, body;
    struct cairn_buf item = {0}, outcome = {0};
    uint8_t state;
    uint64_t type, ms, number;
    enum cairn_code code;

    cairn_read_u8(&k);
    type = cairn_read_varint(&k);
    id = cairn_read_sized(&k);
    method = cairn_read_sized(&k);
    name = cairn_bytes(k.at, cairn_reader_left(&k));
    state = cairn_read_u8(&v);
    head = cairn_read_bytes(&v, 8);
    ms = cairn_read_varint(&v);
    number = cairn_read_varint(&v);
    if (k.bad || v.bad)
        return unreadable(export, "an idempotency key", err);
    /* One that was given up, and used again since, or of a namespace that is not wanted. */
    if (number != export->key || (export->options.space.size && !has_type(export, type & ~(uint64_t)SEND_KEYS_BIT)))
        return CAIRN_OK;
    if (state & OUTCOME_APART) {
        code = outcome_apart(export, &v, &state, &outcome, err);
        if (code != CAIRN_OK) {
            cairn_buf_done(&outcome);
            return code;
        }
    } else {
        cairn_buf_add(&outcome, v.at, cairn_reader_left(&v));
    }
    cairn_buf_varint(&item, type);
    cairn_buf_varint(&item, id.size);
    cairn_buf_add(&item, id.data, id.size);
    cairn_buf_varint(&item, method.size);
    cairn_buf_add(&item, method.data, method.size);
    cairn_buf_varint(&item, name.size);
    cairn_buf_add(&item, name.data, name.size);
    cairn_buf_u8(&item, state);
    cairn_buf_add(&item, head.data, head.size);
    cairn_buf_varint(&item, ms);
    cairn_buf_add(&item, outcome.data, outcome.size);
    cairn_buf_done(&outcome);
    body = cairn_buf_bytes(&item);
    code = stream_add(&export->writer, STREAM_KEY, &body, 1, err);
    cairn_buf_done(&item);
    return code;
}

static enum cairn_code do_keys(struct cairn_export *export, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (int i = 0; code == CAIRN_OK && i < KEYS_PER_STEP && export->key < export->key_end; i++, export->key++) {
        uint8_t age[9];
        struct cairn_bytes found, value;
        struct cairn_buf key = {0};
        bool there, is_key = false;

        code = get(export, cairn_bytes(age, key_numbered(age, KEY_ONCE_AGE, export->key)), &found, &there, err);
        if (code == CAIRN_OK && there) {
            cairn_buf_add(&key, found.data, found.size);
            code = get(export, cairn_buf_bytes(&key), &value, &is_key, err);
        }
        if (code == CAIRN_OK && is_key)
            code = add_key(export, cairn_buf_bytes(&key), value, err);
        cairn_buf_done(&key);
    }
    if (export->key == export->key_end)
        export->phase = PHASE_CARRIED;
    return code;
}

/* --- messages and timers --- */

static enum cairn_code do_carried(struct cairn_export *export, struct cairn_err *err)
{
    bool over;
    enum cairn_code code;

    overlay_reset(&export->overlay, export->view);
    code = carried_step(&export->carried, &export->overlay, &export->writer, &over, err);
    if (code == CAIRN_OK && over) {
        export->shard++;
        export->phase = PHASE_SHARD;
    }
    return code;
}

/* The overlay is over that shard. */
static enum cairn_code go_to_shard(struct cairn_export *export, uint32_t shard, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (export->shard != shard)
        code = cairn_moment_shard(export->options.moment, shard, &export->view, err);
    export->shard = shard;
    if (code == CAIRN_OK)
        overlay_reset(&export->overlay, export->view);
    return code;
}

static enum cairn_code do_mark(struct cairn_export *export, struct cairn_err *err)
{
    struct carried_channel *channel = carried_next(&export->carried);
    enum cairn_code code;

    if (!channel) {
        export->phase = PHASE_ON_THEIR_WAY;
        carried_sort(&export->carried, false);
        return CAIRN_OK;
    }
    code = go_to_shard(export, channel->to, err);
    export->carried.channel++;
    return code == CAIRN_OK ? carried_mark(channel, &export->overlay, err) : code;
}

static enum cairn_code do_on_their_way(struct cairn_export *export, struct cairn_err *err)
{
    struct carried_channel *channel = carried_next(&export->carried);
    bool over = false;
    enum cairn_code code;

    if (!channel) {
        export->phase = PHASE_END;
        return CAIRN_OK;
    }
    code = go_to_shard(export, channel->from, err);
    if (code == CAIRN_OK)
        code = carried_send(&export->carried, channel, &export->overlay, &export->writer, &over, err);
    export->carried.channel += over;
    return code;
}

/* --- all of it --- */

struct cairn_export *cairn_export_open(const struct cairn_export_options *options)
{
    struct cairn_export *export = cairn_alloc_zeroed(1, sizeof *export);

    export->options = *options;
    export->carried.space = options->space;
    export->carried.shards = cairn_store_shards(cairn_moment_store(options->moment));
    return export;
}

static enum cairn_code step(struct cairn_export *export, struct cairn_buf *to, struct cairn_err *err)
{
    switch (export->phase) {
    case PHASE_CATALOG:
        return do_catalog(export, to, err);
    case PHASE_SHARD:
        return do_shard(export, err);
    case PHASE_IDS:
        return do_ids(export, err);
    case PHASE_OBJECT:
        return do_object(export, err);
    case PHASE_KEYS:
        return do_keys(export, err);
    case PHASE_CARRIED:
        return do_carried(export, err);
    case PHASE_MARKS:
        return do_mark(export, err);
    case PHASE_ON_THEIR_WAY:
        return do_on_their_way(export, err);
    case PHASE_END:
        stream_add_end(&export->writer);
        stream_flush(&export->writer, to);
        export->phase = PHASE_OVER;
        return CAIRN_OK;
    case PHASE_OVER:
        break;
    }
    return CAIRN_OK;
}

enum cairn_code cairn_export_next(struct cairn_export *export, struct cairn_buf *to, bool *ret_over,
                                  struct cairn_err *err)
{
    size_t before = to->size;
    struct cairn_err ignored;
    enum cairn_code code = CAIRN_OK;

    if (!err)
        err = &ignored;
    while (code == CAIRN_OK && export->phase != PHASE_OVER && to->size == before) {
        code = step(export, to, err);
        if (code == CAIRN_OK && export->writer.part.size >= STREAM_PART_BYTES)
            stream_flush(&export->writer, to);
    }
    *ret_over = code == CAIRN_OK && export->phase == PHASE_OVER;
    return code;
}

const struct stream_counts *cairn_export_counts(const struct cairn_export *export)
{
    return &export->writer.counts;
}

struct cairn_export *cairn_export_close(struct cairn_export *export)
{
    if (!export)
        return NULL;
    for (size_t i = 0; i < export->line_count; i++) {
        cairn_buf_done(&export->lines[i].key);
        cairn_buf_done(&export->lines[i].value);
    }
    for (size_t i = 0; i < export->type_count; i++)
        free(export->types[i].fields);
    free(export->lines);
    free(export->numbers);
    free(export->types);
    overlay_done(&export->overlay);
    carried_done(&export->carried);
    cairn_buf_done(&export->ids);
    cairn_buf_done(&export->after);
    cairn_buf_done(&export->name);
    stream_writer_done(&export->writer);
    free(export);
    return NULL;
}
