/* The page of numbers: the backend's, then the fronts' and the process's, in Prometheus's text format.
 *
 * Its length grows with the methods that have run: a thread of its own makes it, from atomics, and a part at a time, as
 * the client takes it, so that no worker and no slow client holds the whole. */
#include <inttypes.h>
#include <stdlib.h>

#include "io/process.h"
#include "proto/zk.h"
#include "server/server_internal.h"
#include "server/session_internal.h"
#include "server/version.h"

static void add(struct cairn_front_stats *sums, const struct cairn_front_stats *more)
{
    /* The struct is nothing but counters. */
    const atomic_uint_least64_t *from = (const void *)more;
    atomic_uint_least64_t *to = (void *)sums;

    for (size_t i = 0; i < sizeof *sums / sizeof *to; i++)
        cairn_count(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}

void cairn_server_totals(void *context, struct cairn_front_stats *ret_sums)
{
    struct cairn_server *server = context;

    memset(ret_sums, 0, sizeof *ret_sums);
    for (uint32_t i = 0; i < server->options.workers; i++)
        add(ret_sums, &server->seats[i].front.stats);
}

static void head(struct cairn_buf *to, const char *name, const char *type, const char *help)
{
    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct cairn_buf *to, const char *name, const char *type, const char *help, uint64_t value)
{
    head(to, name, type, help);
    cairn_buf_printf(to, "%s %" PRIu64 "\n", name, value);
}

static void by_protocol(struct cairn_buf *to, const char *name, const char *type, const char *help,
                        const atomic_uint_least64_t *values)
{
    head(to, name, type, help);
    for (uint32_t i = 0; cairn_protocols[i]; i++)
        cairn_buf_printf(to, "%s{protocol=\"%s\"} %" PRIu64 "\n", name, cairn_protocols[i]->name, (uint64_t)values[i]);
}

static void add_keeper(struct cairn_server *server, struct cairn_buf *to)
{
    struct cairn_zk_client_now total = cairn_zk_clients_total(&server->zk_clients);

    one(to, "cairn_zk_received_total", "counter", "Frames and words of ZooKeeper clients, since the last srst.",
        total.received);
    one(to, "cairn_zk_sent_total", "counter", "Replies and events to them, since the last srst.", total.sent);
    one(to, "cairn_zk_answered_total", "counter", "Requests of theirs that were answered, since the last srst.",
        total.answered);
    head(to, "cairn_zk_request_seconds_total", "counter", "Time from such a request to its reply.");
    cairn_buf_printf(to, "cairn_zk_request_seconds_total %.6f\n", (double)total.us_total / 1e6);
    head(to, "cairn_zk_operations_total", "counter", "Such requests that were answered, by what they asked for.");
    for (int32_t op = CAIRN_ZK_OP_FIRST; op <= CAIRN_ZK_OP_LAST; op++) {
        uint64_t answered = cairn_zk_clients_operations(&server->zk_clients, op);

        if (answered && cairn_zk_op_name(op))
            cairn_buf_printf(to, "cairn_zk_operations_total{operation=\"%s\"} %" PRIu64 "\n", cairn_zk_op_name(op),
                             answered);
    }
}

static void add_checks(struct cairn_server *server, struct cairn_buf *to)
{
    struct cairn_check checks[CAIRN_CHECKS_MAX];
    size_t count = server->backend->checks(server->backend->context, checks);
    bool ready = atomic_load(&server->stage) == CAIRN_SERVER_RUNNING;

    for (size_t i = 0; i < count; i++)
        ready &= checks[i].state != CAIRN_CHECK_FAILED;
    one(to, "cairn_ready", "gauge", "1 if the node is ready, as /readyz says.", ready);
    head(to, "cairn_check", "gauge", "0: all is well; 1: the operator should look; 2: the node is not ready for it.");
    for (size_t i = 0; i < count; i++)
        cairn_buf_printf(to, "cairn_check{name=\"%s\"} %d\n", checks[i].name, (int)checks[i].state);
}

static void add_journal(struct cairn_journal *journal, struct cairn_buf *to)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    struct cairn_journal_counts counts;

    cairn_journal_counts(journal, &counts);
    head(to, "cairn_journal_lines_total", "counter", "Events told to the operator's log.");
    for (int level = 0; level <= CAIRN_LEVEL_ERROR; level++)
        cairn_buf_printf(to, "cairn_journal_lines_total{level=\"%s\"} %" PRIu64 "\n", levels[level],
                         counts.lines[level]);
    one(to, "cairn_journal_suppressed_total", "counter", "Of them not written, as there were many of their kind.",
        counts.suppressed);
    one(to, "cairn_journal_dropped_total", "counter",
        "Of them lost, as the log's file or pipe was too slow or could not be written.", counts.dropped);
}

static void add_exporter(struct cairn_exporter *exporter, struct cairn_buf *to)
{
    struct cairn_exporter_counts counts;

    cairn_exporter_counts(exporter, &counts);
    head(to, "cairn_trace_exported_total", "counter", "Spans that were given to --trace, and what came of it.");
    cairn_buf_printf(to,
                     "cairn_trace_exported_total{result=\"exported\"} %" PRIu64
                     "\ncairn_trace_exported_total{result=\"failed\"} %" PRIu64
                     "\ncairn_trace_exported_total{result=\"dropped\"} %" PRIu64 "\n",
                     counts.exported, counts.failed, counts.dropped);
}

void cairn_server_metrics(struct cairn_server *server, struct cairn_bytes cursor, struct cairn_buf *to,
                          struct cairn_buf *next)
{
    struct cairn_front_stats sums;
    struct cairn_process process;
    uint64_t now_ms = server->options.clock->wall_ms(server->options.clock);

    server->backend->metrics(server->backend->context, cursor, to, next);
    if (next->size)
        return;
    if (to->size && to->data[to->size - 1] != '\n')
        cairn_buf_u8(to, '\n');

    cairn_server_totals(server, &sums);
    head(to, "cairn_build_info", "gauge", "Always 1; the version is a label.");
    cairn_buf_printf(to, "cairn_build_info{version=\"%s\"} 1\n", CAIRN_VERSION);
    one(to, "cairn_uptime_seconds", "gauge", "Time since the node started.",
        now_ms > server->about.started_ms ? (now_ms - server->about.started_ms) / 1000 : 0);
    one(to, "cairn_workers", "gauge", "Worker threads.", server->options.workers);
    by_protocol(to, "cairn_connections", "gauge", "Open connections.", sums.sessions);
    by_protocol(to, "cairn_connections_total", "counter", "Connections taken since the start.", sums.sessions_total);
    one(to, "cairn_connections_refused_total", "counter", "Connections refused because too many were open.",
        sums.refused);
    one(to, "cairn_connections_timed_out_total", "counter", "Connections closed while half a request had arrived.",
        sums.timed_out);
    one(to, "cairn_connections_overflowed_total", "counter",
        "Connections closed because their requests or replies filled the node's buffers.", sums.overflowed);
    by_protocol(to, "cairn_requests_total", "counter", "Requests and commands received whole.", sums.requests);
    by_protocol(to, "cairn_request_errors_total", "counter", "Replies that were errors.", sums.errors);
    one(to, "cairn_received_bytes_total", "counter", "Bytes received from clients.", sums.bytes_in);
    one(to, "cairn_sent_bytes_total", "counter", "Bytes sent to clients.", sums.bytes_out);

    add_keeper(server, to);
    add_checks(server, to);
    if (server->options.journal)
        add_journal(server->options.journal, to);
    if (server->options.exporter)
        add_exporter(server->options.exporter, to);
    cairn_process_read(&process);
    head(to, "process_cpu_seconds_total", "counter", "CPU time of the process, user and system.");
    cairn_buf_printf(to, "process_cpu_seconds_total %.6f\n", process.user_seconds + process.system_seconds);
    one(to, "process_resident_memory_bytes", "gauge", "Resident memory.", process.resident_bytes);
    one(to, "process_virtual_memory_bytes", "gauge", "Virtual memory.", process.virtual_bytes);
    one(to, "process_open_fds", "gauge", "Open file descriptors.", process.open_files);
    one(to, "process_max_fds", "gauge", "Most file descriptors that may be open.", process.open_files_max);
    one(to, "process_threads", "gauge", "Threads.", process.threads);
    one(to, "process_start_time_seconds", "gauge", "When the node started, in Unix time.",
        server->about.started_ms / 1000);
}

/* --- asking for it --- */

/* A part that is asked for, and then is there: an encoded page (object.h). */
struct cairn_scrape {
    struct cairn_scrape *next;
    struct cairn_seat *seat;
    struct cairn_request *request;
    struct cairn_buf value;
};

static struct cairn_scrape *scrape_free(struct cairn_scrape *scrape)
{
    struct cairn_scrape *next = scrape->next;

    cairn_buf_done(&scrape->value);
    free(scrape);
    return next;
}

static void push(struct cairn_seat *seat, struct cairn_scrape *scrape)
{
    struct cairn_scrape *head = atomic_load_explicit(&seat->scrapes, memory_order_relaxed);

    do
        scrape->next = head;
    while (!atomic_compare_exchange_weak_explicit(&seat->scrapes, &head, scrape, memory_order_release,
                                                  memory_order_relaxed));
    cairn_loop_wake(seat->loop);
}

void cairn_seat_answer(struct cairn_seat *seat, struct cairn_request *request, struct cairn_buf *value)
{
    struct cairn_scrape *scrape = cairn_alloc_zeroed(1, sizeof *scrape);

    scrape->seat = seat;
    scrape->request = request;
    scrape->value = *value;
    push(seat, scrape);
}

static void make_part(struct cairn_server *server, struct cairn_scrape *scrape)
{
    struct cairn_buf text = {0}, cursor = {0};

    cairn_server_metrics(server, scrape->request->cursor, &text, &cursor);
    cairn_value_add_list(&scrape->value, 2);
    cairn_value_add_bytes(&scrape->value, cairn_buf_bytes(&text));
    if (cursor.size)
        cairn_value_add_bytes(&scrape->value, cairn_buf_bytes(&cursor));
    else
        cairn_value_add_nil(&scrape->value);
    cairn_buf_done(&text);
    cairn_buf_done(&cursor);
}

void cairn_server_make_page(struct cairn_task *task)
{
    struct cairn_server *server = cairn_container(task, struct cairn_server, page_task);
    struct cairn_scrape *waiting, *next;

    pthread_mutex_lock(&server->page_lock);
    waiting = server->page_waiting;
    server->page_waiting = NULL;
    server->page_queued = false;
    pthread_mutex_unlock(&server->page_lock);
    for (; waiting; waiting = next) {
        next = waiting->next;
        make_part(server, waiting);
        push(waiting->seat, waiting);
    }
}

void cairn_server_ask_metrics(void *context, struct cairn_front *front, struct cairn_request *request)
{
    struct cairn_server *server = context;
    struct cairn_scrape *scrape = cairn_alloc_zeroed(1, sizeof *scrape);
    bool queued;

    scrape->seat = &server->seats[front->index];
    scrape->request = request;
    pthread_mutex_lock(&server->page_lock);
    scrape->next = server->page_waiting;
    server->page_waiting = scrape;
    queued = server->page_queued;
    server->page_queued = true;
    pthread_mutex_unlock(&server->page_lock);
    if (!queued)
        cairn_tasks_submit(server->page_tasks, &server->page_task);
}

static struct cairn_scrape *take_scrapes(struct cairn_seat *seat)
{
    if (!atomic_load_explicit(&seat->scrapes, memory_order_relaxed))
        return NULL;
    return atomic_exchange_explicit(&seat->scrapes, NULL, memory_order_acquire);
}

void cairn_seat_reply_metrics(struct cairn_seat *seat)
{
    struct cairn_scrape *next;

    for (struct cairn_scrape *scrape = take_scrapes(seat); scrape; scrape = next) {
        scrape->request->reply(scrape->request, cairn_buf_bytes(&scrape->value));
        next = scrape_free(scrape);
    }
}

void cairn_seat_drop_metrics(struct cairn_seat *seat)
{
    struct cairn_scrape *scrape = take_scrapes(seat);

    while (scrape)
        scrape = scrape_free(scrape);
}
