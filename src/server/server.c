#include "server/server.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/process.h"
#include "server/server_internal.h"

enum { DRAIN_POLL_NS = 5000000, WATCH_MS = 1000 };

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

/* --- what is told --- */

static const struct cairn_events *events_of(const struct cairn_server *server)
{
    return server->options.journal ? cairn_journal_events(server->options.journal) : NULL;
}

static void tell_more(struct cairn_server *server, const char *kind, const char *text, uint64_t before, uint64_t now)
{
    if (now > before)
        cairn_tell(events_of(server),
                   &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                         .from = "clients",
                                         .kind = kind,
                                         .text = text,
                                         .fields = {{.key = "connections", .number = now - before}}});
}

/* Once a second: what began, and what is over. */
static void watch(struct cairn_server *server)
{
    const struct cairn_backend *backend = server->backend;
    struct cairn_front_stats now, *before = &server->told;

    if (backend->watch)
        backend->watch(backend->context);
    cairn_server_totals(server, &now);
    tell_more(server, "refused",
              "connections were refused, as too many are open: raise --max-connections, or find out "
              "which clients open so many",
              before->refused, now.refused);
    tell_more(server, "timed_out", "connections were closed, as a request took too long to arrive", before->timed_out,
              now.timed_out);
    tell_more(server, "overflowed", "connections were closed, as their requests or replies filled the node's buffers",
              before->overflowed, now.overflowed);
    memcpy(before, &now, sizeof now);
}

/* --- stopping: run's loop --- */

static bool control_turn(void *context, uint64_t *ret_wait_ns)
{
    struct cairn_server *server = context;
    uint64_t now_ms = cairn_loop_now_ms(server->loop);
    int stage = atomic_load(&server->stage);

    if (now_ms >= server->watch_at_ms) {
        server->watch_at_ms = now_ms + WATCH_MS;
        watch(server);
    }
    *ret_wait_ns = (server->watch_at_ms - now_ms) * 1000000;
    if (stage == CAIRN_SERVER_RUNNING && atomic_load(&server->stop_asked)) {
        server->stop_by_ms = now_ms + server->options.stop_ms;
        server->backend->drain(server->backend->context);
        atomic_store(&server->stage, stage = CAIRN_SERVER_DRAINING);
        for (uint32_t i = 0; i < server->options.workers; i++)
            cairn_loop_wake(server->seats[i].loop);
    }
    if (stage == CAIRN_SERVER_DRAINING) {
        server->finished_all = server->backend->admitted(server->backend->context) == 0;
        if (server->finished_all || now_ms >= server->stop_by_ms) {
            atomic_store(&server->stage, stage = CAIRN_SERVER_CLOSING);
            for (uint32_t i = 0; i < server->options.workers; i++)
                cairn_loop_wake(server->seats[i].loop);
        } else {
            *ret_wait_ns = DRAIN_POLL_NS;
        }
    }
    if (stage == CAIRN_SERVER_CLOSING && atomic_load(&server->seats_ended) == server->options.workers)
        cairn_loop_stop(server->loop);
    return false;
}

static void on_hangup(void *context, int number)
{
    struct cairn_server *server = context;

    (void)number;
    if (server->options.journal)
        cairn_journal_reopen(server->options.journal);
    if (server->options.exporter)
        cairn_exporter_reopen(server->options.exporter);
}

static void on_signal(void *context, int number)
{
    struct cairn_server *server = context;

    if (atomic_load(&server->stop_asked))
        _exit(128 + number); /* asked twice: at once; the log makes it safe */
    if (server->options.on_stopping)
        server->options.on_stopping(server->options.context, number == SIGINT ? "interrupted" : "asked to end");
    cairn_tell(events_of(server), &(struct cairn_event){.level = CAIRN_LEVEL_INFO,
                                                        .from = "node",
                                                        .kind = "stopping",
                                                        .text = "a signal asks the node to stop: no new connections, "
                                                                "and what is under way is finished",
                                                        .fields = {{.key = "signal", .number = (uint64_t)number}}});
    cairn_server_stop(server);
}

void cairn_server_stop(struct cairn_server *server)
{
    atomic_store(&server->stop_asked, true);
    cairn_loop_wake(server->loop);
}

bool cairn_server_run(struct cairn_server *server)
{
    cairn_loop_run(server->loop);
    cairn_loop_unsignal(server->loop); /* the rest may take long: a second signal ends the process at once */
    if (server->options.signals)
        cairn_ignore_signals(); /* SIGHUP, that is */
    for (uint32_t i = 0; i < server->options.workers; i++) {
        pthread_join(server->seats[i].thread, NULL);
        server->seats[i].started = false;
    }
    server->page_tasks = cairn_tasks_destroy(server->page_tasks); /* the backend is closed next */
    server->export_tasks = cairn_tasks_destroy(server->export_tasks);
    return server->finished_all;
}

/* --- starting --- */

/* What is wrong with an address, and what to do about it. */
static enum cairn_code fail_to_bind(struct cairn_err *err, enum cairn_code code, const char *flag)
{
    struct cairn_err cause;

    if (!err)
        return code;
    cause = *err;
    return cairn_fail(err, code, "%s: choose another address with %s ADDR (a port alone will do; 0 takes a free one)",
                      cause.text, flag);
}

/* Binds one address for every worker. */
static enum cairn_code bind_all(struct cairn_server *server, struct cairn_address *address, uint32_t front,
                                bool loopback6, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < server->options.workers; i++)
        code = cairn_port_bind(address, i == 0, &server->seats[i].ports[front][loopback6].fd, err);
    return code;
}

static void unbind(struct cairn_server *server, uint32_t front)
{
    for (uint32_t i = 0; i < server->options.workers; i++)
        for (int port = 0; port < 2; port++) {
            int *fd = &server->seats[i].ports[front][port].fd;

            if (*fd >= 0)
                close(*fd);
            *fd = -1;
        }
}

static enum cairn_code bind_front(struct cairn_server *server, uint32_t front, struct cairn_err *err)
{
    const struct cairn_protocol *protocol = cairn_protocols[front];
    const char *text = *(const char *const *)((const char *)&server->options + protocol->address_offset);
    struct cairn_address address, address6;
    enum cairn_code code;
    char flag[32];
    bool any_port, given = text != NULL;

    if (!given)
        text = "localhost";
    if (strcmp(text, "off") == 0)
        return CAIRN_OK;
    snprintf(flag, sizeof flag, "--%s", protocol->name);
    code = cairn_address_parse(text, protocol->default_port, &address, err);
    if (code != CAIRN_OK)
        return cairn_while(err, "reading %s", flag);
    if (!cairn_address_is_loopback(&address) && !server->options.insecure)
        return cairn_fail(err, CAIRN_EACCES,
                          "%s %s is not a loopback address, and this node has neither credentials nor encryption: "
                          "any client that reaches it could do anything; add --insecure if the network is trusted",
                          flag, text);
    any_port = cairn_address_port(&address) == 0;
    code = bind_all(server, &address, front, false, err);
    if (code == CAIRN_OK && cairn_address_is_localhost(text)) {
        address6 = cairn_address_loopback6(cairn_address_port(&address));
        code = bind_all(server, &address6, front, true, err);
        if (code == CAIRN_ENOTFOUND || (code == CAIRN_ECONFLICT && any_port))
            code = CAIRN_OK; /* none here; or the port that was free there is taken here, and no flag asked for it */
    }
    if (code == CAIRN_ECONFLICT && protocol->dispensable && !given) {
        unbind(server, front);
        snprintf(server->fronts[front].fault, sizeof server->fronts[front].fault,
                 "%s: choose another address with %s ADDR, or say %s off", err ? err->text : "its port is taken", flag,
                 flag);
        return CAIRN_OK;
    }
    if (code != CAIRN_OK)
        return fail_to_bind(err, code, flag);
    server->fronts[front].address = address;
    server->fronts[front].there = true;
    return CAIRN_OK;
}

static struct cairn_front *front_of(void *context, uint32_t worker)
{
    struct cairn_server *server = context;

    return &server->seats[worker].front;
}

enum cairn_code cairn_server_create(const struct cairn_server_options *options, struct cairn_server **ret_server,
                                    struct cairn_err *err)
{
    struct cairn_server *server = cairn_alloc_zeroed(1, sizeof *server);
    struct cairn_server_options *o = &server->options;
    const struct cairn_address *http, *resp, *zk;
    struct cairn_loop_options loop_options = {.turn = control_turn, .context = server, .read_bytes = 1};
    enum cairn_code code;

    assert(options->workers > 0 && options->clock);
    *o = *options;
    o->connections_max = (uint32_t)or_default(o->connections_max, 20000);
    o->turn_ns = or_default(o->turn_ns, 250000);
    o->partial_ms = (uint32_t)or_default(o->partial_ms, 30000);
    o->stalled_ms = (uint32_t)or_default(o->stalled_ms, 60000);
    for (uint32_t front = 0; cairn_protocols[front]; front++) {
        uint32_t *idle_ms = (uint32_t *)((char *)o + cairn_protocols[front]->idle_ms_offset);

        *idle_ms = (uint32_t)or_default(*idle_ms, cairn_protocols[front]->idle_ms);
    }
    o->stop_ms = (uint32_t)or_default(o->stop_ms, 10000);
    server->page_tasks = cairn_tasks_create(1);
    server->export_tasks = cairn_tasks_create(1);
    server->page_task.run = cairn_server_make_page;
    pthread_mutex_init(&server->page_lock, NULL);
    cairn_zk_clients_init(&server->zk_clients, o->workers);
    server->seats = cairn_alloc_zeroed(o->workers, sizeof server->seats[0]);
    for (uint32_t i = 0; i < o->workers; i++) {
        server->seats[i].server = server;
        server->seats[i].index = i;
        for (int port = 0; port < 2 * CAIRN_PROTOCOLS; port++)
            server->seats[i].ports[port / 2][port % 2].fd = -1;
        cairn_list_init(&server->seats[i].connections);
    }
    code = cairn_loop_create(&loop_options, &server->loop, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < o->workers; i++) {
        loop_options = (struct cairn_loop_options){.turn = cairn_seat_turn, .context = &server->seats[i]};
        code = cairn_loop_create(&loop_options, &server->seats[i].loop, err);
    }
    for (uint32_t front = 0; code == CAIRN_OK && cairn_protocols[front]; front++)
        code = bind_front(server, front, err);
    if (code != CAIRN_OK) {
        cairn_server_destroy(server);
        return code;
    }
    http = cairn_server_http(server);
    resp = cairn_server_resp(server);
    zk = cairn_server_zk(server);
    server->about = (struct cairn_front_about){
        .http_port = http ? cairn_address_port(http) : 0,
        .resp_port = resp ? cairn_address_port(resp) : 0,
        .zk_port = zk ? cairn_address_port(zk) : 0,
        .zk = &o->zk_settings,
        .zk_clients = &server->zk_clients,
        .started_ms = o->clock->wall_ms(o->clock),
        .sync = o->sync ? o->sync : "always",
        .data = o->data ? o->data : "",
        .connections_max = o->connections_max,
        .loopback_only = !http || cairn_address_is_loopback(http),
        .metrics = cairn_server_ask_metrics,
        .export_page = cairn_server_ask_export,
        .totals = cairn_server_totals,
        .front = front_of,
        .wake = cairn_server_wake,
        .context = server,
    };
    *ret_server = server;
    return CAIRN_OK;
}

static const struct cairn_address *address_of(const struct cairn_server *server, const struct cairn_protocol *protocol)
{
    uint32_t front = protocol->index;

    return server->fronts[front].there ? &server->fronts[front].address : NULL;
}

const struct cairn_address *cairn_server_http(const struct cairn_server *server)
{
    return address_of(server, &cairn_http_protocol);
}

const struct cairn_address *cairn_server_resp(const struct cairn_server *server)
{
    return address_of(server, &cairn_resp_protocol);
}

const struct cairn_address *cairn_server_zk(const struct cairn_server *server)
{
    return address_of(server, &cairn_zk_protocol);
}

const char *cairn_server_zk_fault(const struct cairn_server *server)
{
    const char *fault = server->fronts[CAIRN_PROTOCOL_ZK].fault;

    return *fault ? fault : NULL;
}

void cairn_server_wake(void *context, uint32_t index)
{
    struct cairn_server *server = context;

    cairn_loop_wake(server->seats[index].loop);
}

static enum cairn_code watch_signals(struct cairn_server *server, struct cairn_err *err)
{
    static const int stop[] = {SIGTERM, SIGINT, SIGQUIT, SIGPWR, SIGXCPU};
    enum cairn_code code = cairn_loop_signal(server->loop, SIGHUP, on_hangup, server, err);

    for (size_t i = 0; code == CAIRN_OK && i < sizeof stop / sizeof stop[0]; i++)
        code = cairn_loop_signal(server->loop, stop[i], on_signal, server, err);
    return code;
}

enum cairn_code cairn_server_start(struct cairn_server *server, const struct cairn_backend *backend,
                                   struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    assert(backend->workers == server->options.workers && !server->backend);
    server->backend = backend;
    if (!backend->keeper) {
        unbind(server, CAIRN_PROTOCOL_ZK);
        server->fronts[CAIRN_PROTOCOL_ZK].there = false;
        if (server->options.zk && strcmp(server->options.zk, "off") != 0)
            return cairn_fail(err, CAIRN_EINVAL, "--zk: this node has no keeper behind that port; leave the flag out");
    }
    for (uint32_t i = 0; i < backend->workers; i++)
        cairn_front_init(&server->seats[i].front, backend, i, server->options.clock, &server->options.limits,
                         &server->about);
    if (server->options.signals)
        code = watch_signals(server, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < backend->workers; i++)
        code = cairn_seat_listen(&server->seats[i], err);
    if (code != CAIRN_OK)
        return code;
    for (uint32_t i = 0; i < backend->workers; i++) {
        if (pthread_create(&server->seats[i].thread, NULL, cairn_seat_main, &server->seats[i]) != 0)
            abort(); /* a node that cannot start its few threads cannot work */
        server->seats[i].started = true;
    }
    return CAIRN_OK;
}

struct cairn_server *cairn_server_destroy(struct cairn_server *server)
{
    if (!server)
        return NULL;
    cairn_tasks_destroy(server->page_tasks);
    cairn_tasks_destroy(server->export_tasks);
    for (uint32_t i = 0; i < server->options.workers; i++) {
        struct cairn_seat *seat = &server->seats[i];

        assert(!seat->started); /* run has returned, or start was never called */
        for (int port = 0; port < 2 * CAIRN_PROTOCOLS; port++) {
            cairn_listener_close(seat->ports[port / 2][port % 2].listener);
            if (seat->ports[port / 2][port % 2].fd >= 0)
                close(seat->ports[port / 2][port % 2].fd);
        }
        cairn_loop_destroy(seat->loop);
        cairn_seat_drop_metrics(seat);
        if (server->backend)
            cairn_front_done(&seat->front);
    }
    cairn_loop_destroy(server->loop);
    pthread_mutex_destroy(&server->page_lock);
    cairn_zk_clients_done(&server->zk_clients);
    free(server->seats);
    free(server);
    return NULL;
}
