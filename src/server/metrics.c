/* The page of numbers: the backend's, then the fronts' and the process's, in Prometheus's text format. */
#include <inttypes.h>

#include "io/process.h"
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
                        const atomic_uint_least64_t values[2])
{
    head(to, name, type, help);
    cairn_buf_printf(to, "%s{protocol=\"resp\"} %" PRIu64 "\n%s{protocol=\"http\"} %" PRIu64 "\n", name,
                     (uint64_t)values[CAIRN_FRONT_RESP], name, (uint64_t)values[CAIRN_FRONT_HTTP]);
}

void cairn_server_metrics(struct cairn_server *server, struct cairn_buf *to)
{
    struct cairn_front_stats sums;
    struct cairn_process process;
    uint64_t now_ms = server->options.clock->wall_ms(server->options.clock);

    server->backend->metrics(server->backend->context, to);
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
