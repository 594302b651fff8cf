#include "fleet/trace.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

const double cairn_trace_quantiles[CAIRN_TRACE_QUANTILES] = {0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1};

enum { HOUR_MS = 3600000 };

static void add_event(struct cairn_trace *trace, const struct cairn_trace_event *event)
{
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? 2 * trace->capacity : 1024;
        trace->events = cairn_realloc(trace->events, trace->capacity * sizeof *trace->events);
    }
    trace->events[trace->count++] = *event;
}

void cairn_trace_done(struct cairn_trace *trace)
{
    free(trace->events);
    *trace = (struct cairn_trace){0};
}

/* --- making one up --- */

/* Shares of keys up to a size, of the registry's public sample; sizes between two have uniform logarithms. */
static const struct {
    double share, bytes;
} sizes[] = {{0, 100}, {0.10, 214}, {0.25, 975}, {0.50, 14.8e3}, {0.75, 5.3e6}, {0.90, 31.1e6}, {0.99, 137e6}, {1, 0}};

struct cairn_trace_options cairn_trace_options(void)
{
    /* The sample's largest is 690 MB.  The footprint of the 50 hours, 1,169 GB with at most 0.32 fresh keys of
     * 182,700, takes a mean of 20 MB, so that some are larger: its last hundredth goes up to 3.8 GB. */
    return (struct cairn_trace_options){
        .seed = 1, .hours = 50, .gets = 3654, .fresh = 0.32, .soon = 0.2, .bytes_max = UINT64_C(3800000000)};
}

static double log_uniform(struct cairn_random *random, double least, double most)
{
    return least * pow(most / least, cairn_random_unit(random));
}

static uint64_t draw_bytes(struct cairn_random *random, double most)
{
    double share = cairn_random_unit(random), bytes, below, above;
    size_t i = 1;

    while (i < sizeof sizes / sizeof *sizes - 1 && share > sizes[i].share)
        i++;
    below = sizes[i - 1].bytes;
    above = sizes[i].share < 1 ? sizes[i].bytes : fmax(most, below);
    bytes = below * pow(above / below, (share - sizes[i - 1].share) / (sizes[i].share - sizes[i - 1].share));
    return (uint64_t)fmin(bytes, most);
}

/* The last event that is not later. */
static size_t event_at(const struct cairn_trace *trace, uint64_t at_ms)
{
    size_t low = 0, high = trace->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (trace->events[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

/* What is asked for again; what would be before the first one is any of them. */
static size_t event_again(const struct cairn_trace *trace, struct cairn_random *random, double soon, uint64_t now_ms)
{
    double ago_ms = cairn_random_unit(random) < soon ? log_uniform(random, 1000, HOUR_MS)
                                                     : log_uniform(random, HOUR_MS, 50.0 * HOUR_MS);

    return ago_ms > (double)now_ms ? (size_t)cairn_random_below(random, trace->count)
                                   : event_at(trace, now_ms - (uint64_t)ago_ms);
}

void cairn_trace_generate(const struct cairn_trace_options *options, struct cairn_trace *ret)
{
    size_t count = (size_t)(options->hours * options->gets);
    struct cairn_random random;

    cairn_random_init(&random, options->seed);
    for (size_t i = 0; i < count; i++) {
        struct cairn_trace_event event = {.at_ms = (uint64_t)((double)i / options->gets * HOUR_MS)};

        if (ret->count == 0 || cairn_random_unit(&random) < options->fresh) {
            event.key = ret->keys++;
            event.bytes = draw_bytes(&random, (double)options->bytes_max);
        } else {
            const struct cairn_trace_event *before =
                &ret->events[event_again(ret, &random, options->soon, event.at_ms)];

            event.key = before->key;
            event.bytes = before->bytes;
        }
        add_event(ret, &event);
    }
}

/* --- some of one --- */

void cairn_trace_keep_large(struct cairn_trace *trace, uint64_t bytes_min)
{
    uint32_t *names = cairn_alloc_zeroed((size_t)trace->keys + 1, sizeof *names), keys = 0; /* 0: none yet */
    size_t kept = 0;

    for (size_t i = 0; i < trace->count; i++) {
        struct cairn_trace_event event = trace->events[i];

        if (event.bytes < bytes_min)
            continue;
        if (names[event.key] == 0)
            names[event.key] = ++keys;
        event.key = names[event.key] - 1;
        trace->events[kept++] = event;
    }
    trace->count = kept;
    trace->keys = keys;
    free(names);
}

/* --- what it is like --- */

static int by_number(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;

    return p < q ? -1 : p > q;
}

static void quantiles_of(uint64_t *numbers, size_t count, uint64_t ret[CAIRN_TRACE_QUANTILES])
{
    qsort(numbers, count, sizeof *numbers, by_number);
    for (int q = 0; q < CAIRN_TRACE_QUANTILES; q++) {
        size_t at = (size_t)((double)count * cairn_trace_quantiles[q]);

        ret[q] = count ? numbers[at < count ? at : count - 1] : 0;
    }
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* Of one key, while the events pass. */
struct seen {
    uint64_t last_ms;
    uint32_t gets;
};

void cairn_trace_tell(const struct cairn_trace *trace, struct cairn_trace_facts *ret)
{
    struct seen *seen = cairn_alloc_zeroed((size_t)trace->keys + 1, sizeof *seen);
    uint64_t *of_keys = cairn_alloc(((size_t)trace->keys + 1) * sizeof *of_keys);
    uint64_t *of_gets = cairn_alloc((trace->count + 1) * sizeof *of_gets);
    double again = 0, large_again = 0, soon = 0, large_gets = 0, large_keys = 0, often = 0;

    *ret = (struct cairn_trace_facts){0};
    for (size_t i = 0; i < trace->count; i++) {
        const struct cairn_trace_event *event = &trace->events[i];
        struct seen *key = &seen[event->key];
        bool large = event->bytes > CAIRN_TRACE_LARGE, first = key->gets == 0;

        of_gets[i] = event->bytes;
        of_keys[event->key] = event->bytes;
        key->gets++;
        again += !first;
        ret->footprint += first ? (double)event->bytes : 0;
        if (large) {
            large_gets++;
            large_keys += first;
            large_again += !first;
            soon += !first && event->at_ms - key->last_ms < HOUR_MS;
            often += key->gets == 10;
            ret->large_footprint += first ? (double)event->bytes : 0;
        }
        key->last_ms = event->at_ms;
    }
    if (trace->count)
        ret->hours = fmax((double)trace->events[trace->count - 1].at_ms, 1) / HOUR_MS;
    ret->gets = share((double)trace->count, ret->hours);
    ret->large_gets = share(large_gets, ret->hours);
    ret->again = share(again, (double)trace->count);
    ret->large_again = share(large_again, large_gets);
    ret->large_keys = share(large_keys, trace->keys);
    ret->large_soon = share(soon, large_again);
    ret->large_often = share(often, large_keys);
    quantiles_of(of_keys, trace->keys, ret->key_bytes);
    quantiles_of(of_gets, trace->count, ret->request_bytes);
    free(seen);
    free(of_keys);
    free(of_gets);
}
