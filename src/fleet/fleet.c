#include "fleet/fleet.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "cache/ring.h"

enum { HOUR_MS = 3600000, NOWHERE = UINT32_MAX };

/* A value of the trace; its chunk i is at instance places[i], since stored_ms[i]. */
struct value {
    struct cairn_link link; /* of the clock */
    uint64_t bytes, chunk_bytes, hash;
    bool here, used;  /* used: since the clock's hand came by */
    uint32_t *places; /* NOWHERE: lost */
    uint64_t *stored_ms;
};

/* What an instance may have: chunks that have left since are in the list still. */
struct holding {
    uint32_t key, chunk;
};

struct instance {
    uint64_t bytes, new_bytes; /* of chunks; since the last backup */
    uint64_t born_ms, called_ms;
    struct holding *holdings;
    size_t count, capacity;
    uint64_t peer_born_ms, peer_called_ms;
    uint64_t synced_ms; /* what was stored before is at the peer, too; 0: the peer is empty */
};

struct fleet {
    const struct cairn_fleet_options *options;
    const struct cairn_trace *trace;
    struct cairn_fleet_report *report;
    struct cairn_fleet_count *hour;
    struct cairn_random random;
    struct cairn_ring *ring;
    struct instance *instances;
    struct value *values;
    struct cairn_link clock; /* the hand is before its first */
    uint32_t chunks;
    uint64_t wanted_bytes; /* of the chunk that is placed */
    uint64_t now_ms;
};

/* --- calls and their times --- */

static double call_ms(const struct fleet *fleet, uint64_t bytes)
{
    return ceil(fleet->options->base_ms + (double)bytes / fleet->options->bytes_per_ms);
}

static void called(struct fleet *fleet, uint32_t index)
{
    fleet->instances[index].called_ms = fleet->now_ms;
    fleet->hour->calls++;
}

static void called_for_chunk(struct fleet *fleet, uint32_t index, uint64_t bytes)
{
    called(fleet, index);
    fleet->hour->get_calls++;
    fleet->hour->get_ms += call_ms(fleet, bytes);
}

/* --- values and their chunks --- */

static uint32_t lost_chunks(const struct fleet *fleet, const struct value *value)
{
    uint32_t lost = 0;

    for (uint32_t i = 0; i < fleet->chunks; i++)
        lost += value->places[i] == NOWHERE;
    return lost;
}

static void forget(struct fleet *fleet, struct value *value)
{
    for (uint32_t i = 0; i < fleet->chunks; i++) {
        if (value->places[i] != NOWHERE)
            fleet->instances[value->places[i]].bytes -= value->chunk_bytes;
        value->places[i] = NOWHERE;
    }
    cairn_list_remove(&value->link);
    value->here = false;
}

/* CLOCK: the first value that was not used since the hand came by.  False: there is none at all. */
static bool evict(struct fleet *fleet)
{
    struct cairn_link *link;

    while ((link = cairn_list_pop_front(&fleet->clock))) {
        struct value *value = cairn_container(link, struct value, link);

        if (value->used) {
            value->used = false;
            cairn_list_push_back(&fleet->clock, link);
            continue;
        }
        forget(fleet, value);
        fleet->hour->evicted++;
        return true;
    }
    return false;
}

static bool is_full(void *context, uint32_t index)
{
    const struct fleet *fleet = context;

    return fleet->instances[index].bytes + fleet->wanted_bytes > fleet->options->memory_bytes;
}

static void put_chunk(struct fleet *fleet, struct value *value, uint32_t chunk, uint32_t index)
{
    struct instance *instance = &fleet->instances[index];

    if (instance->count == instance->capacity) {
        instance->capacity = instance->capacity ? 2 * instance->capacity : 64;
        instance->holdings = cairn_realloc(instance->holdings, instance->capacity * sizeof *instance->holdings);
    }
    instance->holdings[instance->count++] = (struct holding){(uint32_t)(value - fleet->values), chunk};
    instance->bytes += value->chunk_bytes;
    instance->new_bytes += value->chunk_bytes;
    value->places[chunk] = index;
    value->stored_ms[chunk] = fleet->now_ms;
    called_for_chunk(fleet, index, value->chunk_bytes);
}

/* Instances for all chunks; values go until there are.  False: it does not fit into an empty cache. */
static bool find_places(struct fleet *fleet, const struct value *value, uint32_t *ret_places)
{
    fleet->wanted_bytes = value->chunk_bytes;
    while (cairn_ring_place(fleet->ring, value->hash, fleet->chunks, ret_places, is_full, fleet) < fleet->chunks)
        if (!evict(fleet))
            return false;
    return true;
}

static void put_value(struct fleet *fleet, struct value *value)
{
    uint32_t places[CAIRN_CHUNKS_MAX];

    if (!find_places(fleet, value, places))
        return;
    for (uint32_t i = 0; i < fleet->chunks; i++)
        put_chunk(fleet, value, i, places[i]);
    value->here = value->used = true;
    cairn_list_push_back(&fleet->clock, &value->link);
}

static bool has_chunk(const struct fleet *fleet, const struct value *value, uint32_t index)
{
    for (uint32_t i = 0; i < fleet->chunks; i++)
        if (value->places[i] == index)
            return true;
    return false;
}

/* Puts lost chunks again, at the successors that have none of the value's; where there is no room it stays lost. */
static void mend(struct fleet *fleet, struct value *value)
{
    uint32_t places[2 * CAIRN_CHUNKS_MAX];
    size_t count, at = 0;

    fleet->wanted_bytes = value->chunk_bytes;
    count = cairn_ring_place(fleet->ring, value->hash, (size_t)2 * fleet->chunks, places, is_full, fleet);
    for (uint32_t i = 0; i < fleet->chunks; i++) {
        if (value->places[i] != NOWHERE)
            continue;
        while (at < count && has_chunk(fleet, value, places[at]))
            at++;
        if (at == count)
            return;
        put_chunk(fleet, value, i, places[at++]);
    }
}

static void get(struct fleet *fleet, struct value *value)
{
    uint32_t lost;

    fleet->hour->gets++;
    if (!value->here) {
        put_value(fleet, value);
        return;
    }
    lost = lost_chunks(fleet, value);
    if (lost > fleet->options->redundancy.parity) {
        fleet->hour->losses++;
        forget(fleet, value);
        put_value(fleet, value);
        return;
    }
    for (uint32_t i = 0; i < fleet->chunks; i++)
        if (value->places[i] != NOWHERE)
            called_for_chunk(fleet, value->places[i], value->chunk_bytes);
    value->used = true;
    fleet->hour->hits++;
    if (lost) {
        fleet->hour->mended++;
        mend(fleet, value);
    }
}

/* --- instances --- */

/* Still the chunk that was put there. */
static struct value *held(struct fleet *fleet, uint32_t index, const struct holding *holding)
{
    struct value *value = &fleet->values[holding->key];

    return value->here && value->places[holding->chunk] == index ? value : NULL;
}

/* What its peer has not is lost, and the peer takes its place. */
static void lose_instance(struct fleet *fleet, uint32_t index)
{
    struct instance *instance = &fleet->instances[index];
    size_t kept = 0;

    for (size_t i = 0; i < instance->count; i++) {
        struct holding holding = instance->holdings[i];
        struct value *value = held(fleet, index, &holding);

        if (!value)
            continue;
        if (value->stored_ms[holding.chunk] < instance->synced_ms) {
            instance->holdings[kept++] = holding;
            continue;
        }
        value->places[holding.chunk] = NOWHERE;
        instance->bytes -= value->chunk_bytes;
    }
    instance->count = kept;
    instance->born_ms = instance->synced_ms ? instance->peer_born_ms : fleet->now_ms;
    instance->called_ms = instance->synced_ms ? instance->peer_called_ms : fleet->now_ms;
    instance->new_bytes = instance->bytes; /* the new peer has nothing */
    instance->synced_ms = 0;
    instance->peer_born_ms = instance->peer_called_ms = fleet->now_ms;
    fleet->hour->reclaimed++;
}

static void lose_peer(struct fleet *fleet, uint32_t index)
{
    struct instance *instance = &fleet->instances[index];

    instance->synced_ms = 0;
    instance->new_bytes = instance->bytes;
    instance->peer_born_ms = instance->peer_called_ms = fleet->now_ms;
    fleet->hour->reclaimed++;
}

static void lose_due(struct fleet *fleet)
{
    const struct cairn_reclaim *reclaim = &fleet->options->reclaim;

    for (uint32_t i = 0; i < fleet->options->instances; i++) {
        struct instance *instance = &fleet->instances[i];
        bool due = cairn_reclaim_due(reclaim, fleet->now_ms - instance->called_ms, fleet->now_ms - instance->born_ms);
        bool peer_due =
            fleet->options->backup_ms && cairn_reclaim_due(reclaim, fleet->now_ms - instance->peer_called_ms,
                                                           fleet->now_ms - instance->peer_born_ms);

        if (peer_due)
            lose_peer(fleet, i);
        if (due)
            lose_instance(fleet, i);
    }
}

/* The provider does not know which of a function's instances is the peer: it takes any, each once. */
static void lose_any(struct fleet *fleet)
{
    uint32_t all = fleet->options->instances * (fleet->options->backup_ms ? 2 : 1);
    uint32_t count =
        cairn_reclaim_count(&fleet->options->reclaim, &fleet->random, fleet->now_ms / CAIRN_RECLAIM_MINUTE_MS, all);
    uint32_t *order;

    if (count == 0)
        return;
    order = cairn_alloc(all * sizeof *order);
    for (uint32_t i = 0; i < all; i++)
        order[i] = i;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = i + (uint32_t)cairn_random_below(&fleet->random, all - i), index = order[other];

        order[other] = order[i];
        order[i] = index;
    }
    /* Peers first: whoever takes over at this moment is not taken a second time. */
    for (uint32_t i = 0; i < count; i++)
        if (order[i] >= fleet->options->instances)
            lose_peer(fleet, order[i] - fleet->options->instances);
    for (uint32_t i = 0; i < count; i++)
        if (order[i] < fleet->options->instances) {
            if (fleet->options->backup_ms && cairn_random_unit(&fleet->random) < fleet->options->together)
                lose_peer(fleet, order[i]);
            lose_instance(fleet, order[i]);
        }
    free(order);
}

static void keep_warm(struct fleet *fleet, uint32_t index)
{
    struct instance *instance = &fleet->instances[index];

    if (fleet->now_ms - instance->called_ms < fleet->options->warm_ms)
        return;
    called(fleet, index);
    fleet->hour->warm_calls++;
    fleet->hour->warm_ms += ceil(fleet->options->base_ms);
}

/* Both instances run while one sends and the other receives. */
static void back_up(struct fleet *fleet, uint32_t index)
{
    struct instance *instance = &fleet->instances[index];

    called(fleet, index);
    fleet->hour->backup_calls += 2;
    fleet->hour->calls++;
    fleet->hour->backup_ms += 2 * call_ms(fleet, instance->new_bytes);
    instance->new_bytes = 0;
    instance->synced_ms = fleet->now_ms + 1;
    instance->peer_called_ms = fleet->now_ms;
}

static void minute(struct fleet *fleet)
{
    const struct cairn_fleet_options *options = fleet->options;

    for (uint32_t i = 0; i < options->instances; i++) {
        uint64_t shifted = fleet->now_ms + (uint64_t)i * CAIRN_RECLAIM_MINUTE_MS; /* not all in the same minute */

        if (options->backup_ms && shifted % options->backup_ms < CAIRN_RECLAIM_MINUTE_MS)
            back_up(fleet, i);
        else if (options->warm_ms)
            keep_warm(fleet, i);
    }
    lose_due(fleet);
    lose_any(fleet);
}

/* --- the whole --- */

static enum cairn_code check(const struct cairn_fleet_options *options, const struct cairn_trace *trace,
                             struct cairn_err *err)
{
    uint32_t chunks = cairn_redundancy_chunks(&options->redundancy);

    if (options->instances < chunks || options->instances > CAIRN_RING_INSTANCES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "there are from %u, a value's chunks, up to %d instances, not %u", chunks,
                          CAIRN_RING_INSTANCES_MAX, options->instances);
    if ((options->warm_ms && options->warm_ms < CAIRN_RECLAIM_MINUTE_MS) ||
        (options->backup_ms && options->backup_ms < CAIRN_RECLAIM_MINUTE_MS))
        return cairn_fail(err, CAIRN_EINVAL, "calls that keep instances, and backups, are a minute apart at least");
    if (!(options->bytes_per_ms > 0) || !(options->base_ms >= 0))
        return cairn_fail(err, CAIRN_EINVAL, "instances send more than 0 bytes a second");
    if (trace->count && trace->events[trace->count - 1].at_ms / HOUR_MS >= CAIRN_FLEET_HOURS_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "the trace is longer than %d hours", CAIRN_FLEET_HOURS_MAX);
    return CAIRN_OK;
}

static void open_fleet(struct fleet *fleet)
{
    struct cairn_ring_instance *of = cairn_alloc_zeroed(fleet->options->instances, sizeof *of);

    cairn_random_init(&fleet->random, fleet->options->seed);
    cairn_list_init(&fleet->clock);
    for (uint32_t i = 0; i < fleet->options->instances; i++)
        of[i] = (struct cairn_ring_instance){.id = i + 1, .agent = i + 1, .strength = 1};
    fleet->ring = cairn_ring_new(of, fleet->options->instances, CAIRN_RING_PLACES);
    free(of);
    fleet->instances = cairn_alloc_zeroed(fleet->options->instances, sizeof *fleet->instances);
    fleet->values = cairn_alloc_zeroed((size_t)fleet->trace->keys + 1, sizeof *fleet->values);
}

/* The first GET of a key makes its value. */
static struct value *value_of(struct fleet *fleet, const struct cairn_trace_event *event)
{
    struct value *value = &fleet->values[event->key];
    struct cairn_cut cut;

    if (value->places)
        return value;
    cut = cairn_cut(&fleet->options->redundancy, event->bytes);
    cairn_list_init(&value->link);
    value->bytes = event->bytes;
    value->chunk_bytes = cairn_cut_chunk_bytes(&cut);
    value->hash = cairn_hash(cairn_bytes(&event->key, sizeof event->key));
    value->places = cairn_alloc(fleet->chunks * sizeof *value->places);
    value->stored_ms = cairn_alloc_zeroed(fleet->chunks, sizeof *value->stored_ms);
    for (uint32_t i = 0; i < fleet->chunks; i++)
        value->places[i] = NOWHERE;
    return value;
}

static void close_fleet(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->trace->keys; i++) {
        struct value *value = &fleet->values[i];

        fleet->report->values += value->here;
        free(value->places);
        free(value->stored_ms);
    }
    for (uint32_t i = 0; i < fleet->options->instances; i++) {
        fleet->report->bytes += fleet->instances[i].bytes;
        free(fleet->instances[i].holdings);
    }
    free(fleet->values);
    free(fleet->instances);
    cairn_ring_free(fleet->ring);
}

static void add_up(struct cairn_fleet_count *all, const struct cairn_fleet_count *hour)
{
    all->gets += hour->gets;
    all->hits += hour->hits;
    all->losses += hour->losses;
    all->mended += hour->mended;
    all->reclaimed += hour->reclaimed;
    all->evicted += hour->evicted;
    all->calls += hour->calls;
    all->get_calls += hour->get_calls;
    all->warm_calls += hour->warm_calls;
    all->backup_calls += hour->backup_calls;
    all->get_ms += hour->get_ms;
    all->warm_ms += hour->warm_ms;
    all->backup_ms += hour->backup_ms;
}

enum cairn_code cairn_fleet_run(const struct cairn_fleet_options *options, const struct cairn_trace *trace,
                                struct cairn_fleet_report *ret, struct cairn_err *err)
{
    struct fleet fleet = {
        .options = options, .trace = trace, .report = ret, .chunks = cairn_redundancy_chunks(&options->redundancy)};
    uint64_t next_minute_ms = CAIRN_RECLAIM_MINUTE_MS;

    *ret = (struct cairn_fleet_report){0};
    if (check(options, trace, err) != CAIRN_OK)
        return err->code;
    open_fleet(&fleet);
    ret->hour_count = trace->count ? (uint32_t)(trace->events[trace->count - 1].at_ms / HOUR_MS + 1) : 0;
    ret->hours = cairn_alloc_zeroed((size_t)ret->hour_count + 1, sizeof *ret->hours);
    for (size_t i = 0; i < trace->count; i++) {
        for (; next_minute_ms <= trace->events[i].at_ms; next_minute_ms += CAIRN_RECLAIM_MINUTE_MS) {
            fleet.now_ms = next_minute_ms;
            fleet.hour = &ret->hours[next_minute_ms / HOUR_MS];
            minute(&fleet);
        }
        fleet.now_ms = trace->events[i].at_ms;
        fleet.hour = &ret->hours[fleet.now_ms / HOUR_MS];
        get(&fleet, value_of(&fleet, &trace->events[i]));
    }
    close_fleet(&fleet);
    for (uint32_t i = 0; i < ret->hour_count; i++)
        add_up(&ret->all, &ret->hours[i]);
    return CAIRN_OK;
}

void cairn_fleet_report_done(struct cairn_fleet_report *report)
{
    free(report->hours);
    *report = (struct cairn_fleet_report){0};
}

double cairn_fleet_availability(const struct cairn_fleet_count *count)
{
    return count->hits + count->losses ? (double)count->hits / (double)(count->hits + count->losses) : 1;
}

struct cairn_fleet_options cairn_fleet_options(void)
{
    struct cairn_fleet_options options = {
        .seed = 1,
        .instances = 400,
        .memory_bytes = UINT64_C(3) << 29,
        .redundancy = {.data = 10, .parity = 2},
        .warm_ms = 60000,
        .backup_ms = 300000,
        .base_ms = 10,
        .bytes_per_ms = 80e3,
    };

    options.reclaim = (struct cairn_reclaim){.kind = CAIRN_RECLAIM_POISSON, .per_minute = 17.0 / 60};
    options.together = 0.35;
    return options;
}
