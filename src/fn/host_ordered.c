/* The host calls of ordered maps: docs/formats/guest-abi.md. */
#include "fn/host_internal.h"

enum { BACKWARD = 1, ABOVE_LOW = 2, WITH_HIGH = 4, NO_HIGH = 8, KEYS_ONLY = 16 };

HOST_CALL(ordered_count)
{
    ENTER();
    uint64_t entries = 0;

    CHECK(run->host->ordered_count(run->context, u32(v), &entries, run->err));
    v[0].i64 = (int64_t)entries;
    return NULL;
}

HOST_CALL(ordered_get)
{
    ENTER();
    struct cairn_bytes value = {0};
    bool found = false;
    BYTES(key, 1);
    BUFFER(out, 3);

    CHECK(run->host->ordered_get(run->context, u32(v), key, &value, &found, run->err));
    return hand_out(run, v, out, out_bytes, value, found);
}

HOST_CALL(ordered_set)
{
    ENTER();
    BYTES(key, 1);
    BYTES(value, 3);

    CHECK(run->host->ordered_set(run->context, u32(v), key, value, run->err));
    return NULL;
}

HOST_CALL(ordered_remove)
{
    ENTER();
    bool found = false;
    BYTES(key, 1);

    CHECK(run->host->ordered_remove(run->context, u32(v), key, &found, run->err));
    v[0].i32 = found;
    return NULL;
}

HOST_CALL(ordered_rank)
{
    ENTER();
    uint64_t rank = 0;
    BYTES(key, 1);

    CHECK(run->host->ordered_rank(run->context, u32(v), key, v[3].i32 != 0, &rank, run->err));
    v[0].i64 = (int64_t)rank;
    return NULL;
}

struct entries {
    struct cairn_taker taker; /* first */
    struct packer packer;
    uint64_t count, needs;
};

static bool take(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct entries *entries = (struct entries *)taker;
    struct cairn_bytes entry[2] = {key, value};

    if (!pack(&entries->packer, entry, taker->keys_only ? 1 : 2, false, &entries->needs))
        return false;
    entries->count++;
    entries->needs = 0;
    return true;
}

static struct entries entries_for(struct cairn_run *run, uint32_t want, uint32_t flags, uint32_t out, uint32_t capacity)
{
    return (struct entries){.taker = {.take = take,
                                      .want = want < READ_ENTRIES_MAX ? want : READ_ENTRIES_MAX,
                                      .keys_only = (flags & KEYS_ONLY) != 0},
                            .packer = {run, out, capacity, 0}};
}

static wasm_trap_t *unknown_flags(struct cairn_run *run, const char *call, uint32_t flags)
{
    return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "host call %s knows no flags %u", call, flags));
}

HOST_CALL(ordered_read)
{
    ENTER();
    uint32_t flags = u32(v + 5);
    BYTES(low, 1);
    BYTES(high, 3);
    BUFFER(out, 7);
    struct entries entries = entries_for(run, u32(v + 6), flags, out, out_bytes);
    struct cairn_range range = {.low = low,
                                .high = high,
                                .above_low = (flags & ABOVE_LOW) != 0,
                                .with_high = (flags & WITH_HIGH) != 0,
                                .no_high = (flags & NO_HIGH) != 0,
                                .backward = (flags & BACKWARD) != 0};

    if (flags > (BACKWARD | ABOVE_LOW | WITH_HIGH | NO_HIGH | KEYS_ONLY))
        return unknown_flags(run, import->name, flags);
    CHECK(run->host->ordered_read(run->context, u32(v), &range, &entries.taker, run->err));
    return packed(&entries.packer, v, entries.count, entries.needs);
}

HOST_CALL(ordered_read_at)
{
    ENTER();
    uint32_t flags = u32(v + 2);
    BUFFER(out, 4);
    struct entries entries = entries_for(run, u32(v + 3), flags, out, out_bytes);

    if (flags & ~(uint32_t)(BACKWARD | KEYS_ONLY))
        return unknown_flags(run, import->name, flags);
    CHECK(run->host->ordered_read_at(run->context, u32(v), (uint64_t)v[1].i64, (flags & BACKWARD) != 0, &entries.taker,
                                     run->err));
    return packed(&entries.packer, v, entries.count, entries.needs);
}

const struct import fn_ordered_imports[] = {
    {"ordered_count", "i>I", host_ordered_count},
    {"ordered_get", "iiiii>i", host_ordered_get},
    {"ordered_set", "iiiii", host_ordered_set},
    {"ordered_remove", "iii>i", host_ordered_remove},
    {"ordered_rank", "iiii>I", host_ordered_rank},
    {"ordered_read", "iiiiiiiii>I", host_ordered_read},
    {"ordered_read_at", "iIiiii>I", host_ordered_read_at},
};
const size_t fn_ordered_import_count = sizeof fn_ordered_imports / sizeof *fn_ordered_imports;
