/* metrics.c - the node's counters as Prometheus text (exposition format 0.0.4). */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "object/quota.h"
#include "object/tracing.h"
#include "object/worker.h"

struct series {
    const char *name, *kind, *help;
    size_t offset; /* of the counter in struct method_stats or worker_counts */
    double scale;
};

#define METHOD(member) offsetof(struct method_stats, member)
static const struct series of_methods[] = {
    {"cairn_invocations_total", "counter", "Invocations that have ended.", METHOD(invocations), 1},
    {"cairn_invocation_failures_total", "counter", "Invocations that ended with an error.", METHOD(failures), 1},
    {"cairn_invocation_cpu_seconds_total", "counter", "CPU time of invocations.", METHOD(cpu_ns), 1e-9},
    {"cairn_invocation_memory_peak_bytes", "gauge", "Largest memory of an instance.", METHOD(memory_peak_bytes), 1},
    {"cairn_invocation_read_bytes_total", "counter", "Bytes read from fields.", METHOD(read_bytes), 1},
    {"cairn_invocation_written_bytes_total", "counter", "Bytes written to fields.", METHOD(written_bytes), 1},
    {"cairn_invocation_operations_total", "counter", "Operations on stored keys.", METHOD(operations), 1},
    {"cairn_invocation_cache_hits_total", "counter", "Results that were kept and given again.", METHOD(cache_hits), 1},
    {"cairn_invocation_cache_misses_total", "counter", "Cacheable invocations that ran.", METHOD(cache_misses), 1},
    {"cairn_invocation_cache_bytes", "gauge", "Kept results, with what they were made of.", METHOD(cache_bytes), 1},
    {"cairn_invocation_calls_total", "counter", "Calls issued by invocations.", METHOD(calls), 1},
};

#define WORKER(member) offsetof(struct worker_counts, member)
static const struct series of_workers[] = {
    {"cairn_segments_total", "counter", "Segments begun.", WORKER(segments), 1},
    {"cairn_records_total", "counter", "Records appended to the log.", WORKER(records), 1},
    {"cairn_slices_total", "counter", "Segments set aside because their slice was over.", WORKER(slices), 1},
    {"cairn_restarts_total", "counter", "First segments that started over as a fiber.", WORKER(restarts), 1},
    {"cairn_refused_total", "counter", "Invocations refused before running.", WORKER(refused), 1},
    {"cairn_refused_for_memory_total", "counter", "Of them, for the bytes that a client, a job or all of them keep.",
     WORKER(refused_for_memory), 1},
    {"cairn_abandoned_total", "counter", "Of them, as their client had hung up.", WORKER(abandoned), 1},
    {"cairn_held_replies", "gauge", "Replies that wait for the log.", WORKER(held), 1},
    {"cairn_mailbox_waiting", "gauge", "Invocations that wait in mailboxes.", WORKER(mailbox_waiting), 1},
    {"cairn_purged_keys_total", "counter", "Keys of deleted objects removed.", WORKER(purged_keys), 1},
    {"cairn_cache_hits_total", "counter", "Results that were kept and given again.", WORKER(cache_hits), 1},
    {"cairn_cache_misses_total", "counter", "Cacheable invocations that ran.", WORKER(cache_misses), 1},
    {"cairn_cache_bytes", "gauge", "Kept results, with what they were made of.", WORKER(cache_bytes), 1},
    {"cairn_evicted_keys_total", "counter", "Idempotency keys forgotten.", WORKER(evicted_keys), 1},
    {"cairn_dropped_outcomes_total", "counter", "Outcomes of idempotency keys dropped, or not kept, for their bytes.",
     WORKER(dropped_outcomes), 1},
    {"cairn_transactions_total", "counter", "Transactions that have happened.", WORKER(transactions), 1},
    {"cairn_transaction_retries_total", "counter", "Attempts of transactions that were undone for an older one.",
     WORKER(transaction_retries), 1},
    {"cairn_transaction_conflicts_total", "counter", "Transactions given up after too many such attempts.",
     WORKER(transaction_conflicts), 1},
    {"cairn_worker_messages_total", "counter", "Calls, results and the like received from other workers.",
     WORKER(messages), 1},
    {"cairn_messages_sent_total", "counter", "Messages that objects have sent.", WORKER(letters_sent), 1},
    {"cairn_messages_run_total", "counter", "Attempts at messages that have ended.", WORKER(letters_run), 1},
    {"cairn_messages_retried_total", "counter", "Of them, those that are to be tried again.", WORKER(letters_retried),
     1},
    {"cairn_messages_waiting", "gauge", "Messages that wait or run.", WORKER(letters_waiting), 1},
    {"cairn_messages_dead", "gauge", "Dead letters: messages that failed for good.", WORKER(letters_dead), 1},
    {"cairn_messages_unreadable_total", "counter",
     "Messages that could not be read and became dead letters: a mistake of the node's.", WORKER(letters_spoiled), 1},
    {"cairn_message_side_lines", "gauge", "Objects that have messages waiting apart from the others'.",
     WORKER(side_lines), 1},
    {"cairn_timers_set_total", "counter", "Timers that objects have set.", WORKER(timers_set), 1},
    {"cairn_timers_fired_total", "counter", "Firings of timers that have begun to run.", WORKER(timers_fired), 1},
    {"cairn_timers_late_seconds_total", "counter", "Time between when these were due and when they began to run.",
     WORKER(timer_late_ms), 1e-3},
    {"cairn_timers_pending", "gauge", "Timers that objects have.", WORKER(timers_pending), 1},
    {"cairn_message_bytes", "gauge", "Bytes of messages that wait and of dead letters.", WORKER(letter_bytes), 1},
};

static void head(struct cairn_buf *to, const struct series *s)
{
    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", s->name, s->help, s->name, s->kind);
}

static double count_at(const void *stats, const struct series *s)
{
    return (double)stat_get((const _Atomic uint64_t *)(const void *)((const char *)stats + s->offset)) * s->scale;
}

static void labels(struct cairn_buf *to, const struct method_series *m)
{
    cairn_buf_printf(to, "{namespace=\"%s\",type=\"%s\",method=\"%s\"",
                     m->space ? (const char *)m->space->name.data : "", (const char *)m->type.data,
                     (const char *)m->method.data);
}

static const struct method_stats *on_worker(const struct method_series *m, uint32_t worker)
{
    return atomic_load_explicit((_Atomic(struct method_stats *) *)(uintptr_t)&m->of[worker], memory_order_acquire);
}

static void print_sum(const struct stats *stats, struct cairn_buf *to, const struct method_series *m,
                      const struct series *s)
{
    double sum = 0;

    for (uint32_t w = 0; w < stats->workers; w++) {
        const struct method_stats *one = on_worker(m, w);
        double count = one ? count_at(one, s) : 0;
        sum = s->offset == METHOD(memory_peak_bytes) ? (count > sum ? count : sum) : sum + count;
    }
    cairn_buf_str(to, s->name);
    labels(to, m);
    cairn_buf_printf(to, "} %.17g\n", sum);
}

static void print_latency(const struct stats *stats, struct cairn_buf *to, const struct method_series *m,
                          const struct series *s)
{
    uint64_t buckets[LATENCY_BUCKETS] = {0}, total = 0;
    double seconds = 0;

    for (uint32_t w = 0; w < stats->workers; w++) {
        const struct method_stats *one = on_worker(m, w);
        for (unsigned b = 0; one && b < LATENCY_BUCKETS; b++)
            buckets[b] += stat_get(&one->latency[b]);
        seconds += one ? 1e-9 * (double)stat_get(&one->latency_ns_total) : 0;
    }
    for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
        total += buckets[b];
        cairn_buf_printf(to, "%s_bucket", s->name);
        labels(to, m);
        if (b == LATENCY_BUCKETS - 1)
            cairn_buf_printf(to, ",le=\"+Inf\"} %llu\n", (unsigned long long)total);
        else
            cairn_buf_printf(to, ",le=\"%g\"} %llu\n", 1e-6 * (double)(1u << b), (unsigned long long)total);
    }
    cairn_buf_printf(to, "%s_sum", s->name);
    labels(to, m);
    cairn_buf_printf(to, "} %.9f\n%s_count", seconds, s->name);
    labels(to, m);
    cairn_buf_printf(to, "} %llu\n", (unsigned long long)total);
}

enum { METHOD_SERIES = sizeof of_methods / sizeof *of_methods };

static const struct series latency = {"cairn_request_seconds", "histogram",
                                      "From a request's arrival to the end of its invocation, the sync not included.",
                                      0, 1};

static void print_tracing(const struct tracing *tracing, struct cairn_buf *to)
{
    static const struct series recorded = {"cairn_trace_spans_total", "counter",
                                           "Spans of traced jobs that have been recorded.", 0, 1};
    static const struct series dropped = {"cairn_trace_spans_dropped_total", "counter",
                                          "Spans that were not, as there were too many under way, or of their job.", 0,
                                          1};

    head(to, &recorded);
    cairn_buf_printf(to, "%s %llu\n", recorded.name, (unsigned long long)tracing->recorded);
    head(to, &dropped);
    cairn_buf_printf(to, "%s %llu\n", dropped.name, (unsigned long long)tracing->dropped);
}

static void print_metered_time(struct cairn_node *node, struct cairn_buf *to)
{
    static const struct series since = {CAIRN_METERED_SINCE, "gauge",
                                        "When metering of the folder's namespaces began, in Unix time.", 0, 1};
    static const struct series served = {CAIRN_METERED_SERVED, "counter",
                                         "For how long nodes have been there since then.", 0, 1};
    struct cairn_metered_time time;

    metered_time(node, &time);
    head(to, &since);
    cairn_buf_printf(to, CAIRN_METERED_SINCE " %.3f\n", (double)time.since_ms / 1e3);
    head(to, &served);
    cairn_buf_printf(to, CAIRN_METERED_SERVED " %.3f\n", (double)time.served_ms / 1e3);
}

static void print_node(struct cairn_node *node, struct cairn_buf *to)
{
    static const struct series memory = {"cairn_client_memory_bytes", "gauge",
                                         "What clients make the node keep: requests, replies, calls, results.", 0, 1};
    static const struct series memory_limit = {"cairn_client_memory_limit_bytes", "gauge",
                                               "What they may make it keep (--memory).", 0, 1};
    static const struct series admitted = {"cairn_requests_admitted", "gauge", "Requests under way.", 0, 1};

    for (size_t i = 0; i < sizeof of_workers / sizeof *of_workers; i++) {
        head(to, &of_workers[i]);
        for (uint32_t w = 0; w < node->options.workers; w++)
            cairn_buf_printf(to, "%s{worker=\"%u\"} %.17g\n", of_workers[i].name, w,
                             count_at(&node->workers[w].counts, &of_workers[i]));
    }
    head(to, &memory);
    cairn_buf_printf(to, "cairn_client_memory_bytes{of=\"all\"} %llu\ncairn_client_memory_bytes{of=\"calls\"} %llu\n",
                     (unsigned long long)cairn_budget_used(&node->memory),
                     (unsigned long long)cairn_budget_used(&node->calls));
    head(to, &memory_limit);
    cairn_buf_printf(to, "cairn_client_memory_limit_bytes %llu\n", (unsigned long long)node->memory.limit);
    head(to, &admitted);
    cairn_buf_printf(to, "cairn_requests_admitted %llu\n", (unsigned long long)cairn_node_admitted(node));
    if (node->tracing)
        print_tracing(node->tracing, to);
    if (node->admin)
        print_metered_time(node, to);
}

/* Behind what is metered (metered.h). */
static const struct {
    const char *name, *kind, *help;
} of_spaces[] = {
    {"cairn_namespace_refused_total", "counter", "Requests and connections refused for a limit of the namespace."},
    {"cairn_namespace_connections", "gauge", "Connections whose latest request was to the namespace."},
    {"cairn_namespace_memory_bytes", "gauge", "Calls and results under way, where they have a limit."},
    {"cairn_namespace_operations_total", "counter", "Operations on stored keys."},
    {"cairn_namespace_kept_bytes", "gauge", "Keys and values of its objects, timers and messages; not of `default`."},
    {"cairn_namespace_objects", "gauge", "Objects that exist; not of `default`."},
    {"cairn_namespace_instances", "gauge", "Function instances held by what waits or was set aside."},
    {"cairn_namespace_messages", "gauge", "Messages that wait or are dead letters; not of `default`."},
    {"cairn_namespace_message_bytes", "gauge", "Keys and values of these."},
};

enum { SPACE_SERIES = CAIRN_MEASURES + sizeof of_spaces / sizeof *of_spaces };

static const char *space_series_name(uint32_t which)
{
    return which < CAIRN_MEASURES ? cairn_metered_series[which].metric : of_spaces[which - CAIRN_MEASURES].name;
}

static void print_space_head(struct cairn_buf *to, uint32_t which)
{
    const char *name = space_series_name(which);
    bool is_metered = which < CAIRN_MEASURES;

    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name,
                     is_metered ? cairn_metered_series[which].help : of_spaces[which - CAIRN_MEASURES].help, name,
                     is_metered ? "counter" : of_spaces[which - CAIRN_MEASURES].kind);
}

static void print_space_line(struct cairn_buf *to, uint32_t which, const char *space, double value)
{
    cairn_buf_printf(to, "%s{namespace=\"%s\"} %.17g\n", space_series_name(which), space, value);
}

static void print_space(const struct cairn_node *node, struct cairn_buf *to, const struct space *space, uint32_t which)
{
    struct space_usage usage;

    quota_usage(space, node->options.workers, &usage);
    if (which < CAIRN_MEASURES) { /* those too that were removed since the node's start */
        if (usage.metered[CAIRN_METERED_INVOCATIONS] || usage.metered[CAIRN_METERED_REQUESTS])
            print_space_line(to, which, (const char *)space->name.data,
                             (double)usage.metered[which] * cairn_metered_series[which].scale);
        return;
    }
    if (!space_is_open(space) ||
        (!usage.metered[CAIRN_METERED_INVOCATIONS] && !usage.refused && !usage.connections && !usage.kept.bytes))
        return; /* idle ones are many */
    const double values[] = {
        (double)usage.refused,    (double)usage.connections,   (double)usage.job_bytes,
        (double)usage.operations, (double)usage.kept.bytes,    (double)usage.kept.objects,
        (double)usage.instances,  (double)usage.kept.messages, (double)usage.kept.message_bytes,
    };
    print_space_line(to, which, (const char *)space->name.data, values[which - CAIRN_MEASURES]);
}

/* What those have used that were removed before the node's start. */
static void print_removed(const struct cairn_node *node, struct cairn_buf *to, uint32_t which)
{
    const uint64_t *removed = node->admin ? node->admin->metered.removed : NULL;

    if (removed && removed[CAIRN_METERED_INVOCATIONS] + removed[CAIRN_METERED_REQUESTS])
        print_space_line(to, which, CAIRN_METERED_REMOVED, (double)removed[which] * cairn_metered_series[which].scale);
}

/* As cairn_admin_metrics; place->method is the space that is next. */
static bool print_spaces(struct cairn_node *node, struct cairn_metrics_place *place, size_t end, struct cairn_buf *to)
{
    for (uint32_t which; (which = place->series - METHOD_SERIES - 1) < SPACE_SERIES; place->series++) {
        const struct space *space = place->method;

        if (!space) {
            print_space_head(to, which);
            if (which < CAIRN_MEASURES)
                print_removed(node, to, which);
            space = node->spaces.first;
        }
        for (place->method = NULL; space; space = space_next(space)) {
            if (to->size >= end) {
                place->method = space;
                return true;
            }
            if (!space->parent)
                print_space(node, to, space, which);
        }
    }
    return false;
}

/* Any thread: of the node's state only atomics are read, and series of methods, which stay until the node closes. */
bool cairn_admin_metrics(struct cairn_node *node, struct cairn_metrics_place *place, size_t bytes, struct cairn_buf *to)
{
    size_t end = to->size + bytes;

    for (; place->series <= METHOD_SERIES; place->series++) {
        const struct series *s = place->series < METHOD_SERIES ? &of_methods[place->series] : &latency;
        const struct method_series *m = place->method;

        if (!m) {
            head(to, s);
            m = atomic_load_explicit(&node->stats.first, memory_order_acquire);
        }
        for (place->method = NULL; m; m = m->next) {
            if (to->size >= end) {
                place->method = m;
                return true;
            }
            if (s == &latency)
                print_latency(&node->stats, to, m, s);
            else
                print_sum(&node->stats, to, m, s);
        }
    }
    if (print_spaces(node, place, end, to))
        return true;
    print_node(node, to);
    return false;
}
