/* One worker's thread: its loop, listeners and connections. */
#include <assert.h>
#include <stdlib.h>

#include "cache/mover.h"
#include "server/server_internal.h"

enum {
    SWEEP_MS_MIN = 10,
    SWEEP_MS_MAX = 5000,
    PARTIAL_BYTES_PER_MS = 16, /* what a large request must manage on the average: 16 KB/s */
    CLOSE_MS = 1000,           /* for the last replies when the node stops */
    LINGER_MS = 5000,          /* for a client to take them when its session is over */
    SHORT_MS = 100,            /* between two looks for the session that keeps most, while memory is short */
    SHORT_BYTES = 64 << 10,    /* of replies: a session that keeps less is left alone */
};

/* When a session is over, its client may still be sending (a module that is too large, say).  To close with input
 * unread would reset the connection, and take from the client what it was told: so the session is closed and the
 * connection lingers, until the client has seen the end and closes. */
struct connection {
    struct cairn_socket *socket;
    struct cairn_move *move;       /* while it is lent */
    struct cairn_session *session; /* NULL: lingers */
    struct cairn_seat *seat;
    struct cairn_link link;
    uint64_t active_ms;        /* something came in */
    uint64_t partial_since_ms; /* 0: no request is half received */
    uint64_t stalled_since_ms; /* 0: the client takes its replies */
    uint64_t lingers_since_ms;
    uint32_t requests_seen; /* at the last sweep */
    bool input_ended;
    bool lent;    /* a mover has the socket's stream */
    bool closing; /* and when it is back, it is closed */
};

static void close_connection(struct connection *connection)
{
    struct cairn_seat *seat = connection->seat;

    if (connection->lent) {
        connection->closing = true;
        cairn_move_cancel(seat->server->backend->movers, connection->move);
        return;
    }
    if (connection->session)
        cairn_session_close(connection->session);
    cairn_socket_close(connection->socket);
    cairn_list_remove(&connection->link);
    seat->connection_count--;
    atomic_fetch_sub(&seat->server->connections, 1);
    free(connection);
}

static void linger(struct connection *connection)
{
    if (connection->input_ended) {
        close_connection(connection);
        return;
    }
    cairn_session_close(connection->session);
    connection->session = NULL;
    connection->lingers_since_ms = cairn_loop_now_ms(connection->seat->loop);
    cairn_socket_reading(connection->socket, true);
    cairn_socket_send_end(connection->socket); /* may end it */
}

/* On the mover's thread. */
static void on_moved(struct cairn_move *move)
{
    struct connection *connection = move->context;
    struct cairn_seat *seat = connection->seat;

    move->next = atomic_load_explicit(&seat->moved, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&seat->moved, &move->next, move, memory_order_release,
                                                  memory_order_relaxed))
        ;
    cairn_loop_wake(seat->loop);
}

static void lend(struct connection *connection, struct cairn_move *move)
{
    move->stream = cairn_socket_lend(connection->socket);
    move->done = on_moved;
    move->context = connection;
    connection->move = move;
    connection->lent = true;
    cairn_movers_take(connection->seat->server->backend->movers, move);
}

/* Sends what there is, and closes or goes on. */
static void serve(struct connection *connection)
{
    struct cairn_session *session = connection->session;
    struct cairn_bytes output = cairn_session_output(session);
    struct cairn_move *move = cairn_session_move(session);

    if (connection->lent)
        return;
    if (output.size) {
        size_t sent;

        if (cairn_socket_send(connection->socket, output, &sent) != CAIRN_OK) {
            close_connection(connection);
            return;
        }
        if (sent) {
            cairn_session_sent(session, sent);
            connection->stalled_since_ms = 0;
        }
        if (sent < output.size && !connection->stalled_since_ms)
            connection->stalled_since_ms = cairn_loop_now_ms(connection->seat->loop);
        output.size -= sent;
    }
    if (move && (move->in || output.size == 0))
        lend(connection, move);
    else if (!cairn_session_over(session))
        cairn_socket_reading(connection->socket, cairn_session_reads(session));
    else if (cairn_session_cut(session))
        close_connection(connection);
    else
        linger(connection);
}

static void on_read(void *context, struct cairn_bytes bytes)
{
    struct connection *connection = context;

    if (!connection->session)
        return; /* its session is over */
    connection->active_ms = cairn_loop_now_ms(connection->seat->loop);
    cairn_session_input(connection->session, bytes);
    if (!cairn_session_reads(connection->session))
        cairn_socket_reading(connection->socket, false);
    /* Replies go out after the worker has run. */
}

static void on_room(void *context)
{
    struct connection *connection = context;

    if (connection->session)
        serve(connection);
}

static void on_end(void *context)
{
    struct connection *connection = context;

    connection->input_ended = true;
    if (!connection->session) {
        close_connection(connection);
        return;
    }
    cairn_session_input_ended(connection->session);
    serve(connection);
}

static void on_broken(void *context)
{
    close_connection(context);
}

/* Connections that movers have given back. */
static void take_back(struct cairn_seat *seat)
{
    struct cairn_move *move = atomic_exchange_explicit(&seat->moved, NULL, memory_order_acquire), *next;

    for (; move; move = next) {
        struct connection *connection = move->context;

        next = move->next;
        connection->lent = false;
        connection->move = NULL;
        connection->active_ms = cairn_loop_now_ms(seat->loop);
        cairn_socket_resume(connection->socket);
        cairn_session_moved(connection->session);
        if (connection->closing)
            close_connection(connection);
        else
            serve(connection);
    }
}

static const struct cairn_socket_ops socket_ops = {
    .on_read = on_read,
    .on_room = on_room,
    .on_end = on_end,
    .on_broken = on_broken,
};

static void refuse(struct cairn_seat *seat, int fd, const struct cairn_protocol *protocol)
{
    struct cairn_buf text = {0};

    protocol->turn_away(&text);
    cairn_turn_away(fd, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
    atomic_fetch_add_explicit(&seat->front.stats.refused, 1, memory_order_relaxed);
}

static void take(struct cairn_seat *seat, int fd, const struct cairn_protocol *protocol)
{
    struct cairn_server *server = seat->server;
    char peer[CAIRN_ADDRESS_TEXT_BYTES];
    struct connection *connection;

    if (atomic_fetch_add(&server->connections, 1) >= server->options.connections_max) {
        atomic_fetch_sub(&server->connections, 1);
        refuse(seat, fd, protocol);
        return;
    }
    connection = cairn_alloc_zeroed(1, sizeof *connection);
    connection->seat = seat;
    if (cairn_socket_open(seat->loop, cairn_stream_tcp(fd), &socket_ops, connection, &connection->socket, NULL) !=
        CAIRN_OK) {
        atomic_fetch_sub(&server->connections, 1);
        free(connection);
        return;
    }
    connection->active_ms = cairn_loop_now_ms(seat->loop);
    connection->session = protocol->open(&seat->front, connection);
    if (protocol->shows_client)
        cairn_session_name_peer(connection->session, cairn_socket_peer(connection->socket, peer));
    cairn_list_push_back(&seat->connections, &connection->link);
    seat->connection_count++;
}

static void on_accept(void *context, int fd)
{
    const struct cairn_seat_port *port = context;

    take(port->seat, fd, port->protocol);
}

/* --- timeouts --- */

static uint32_t idle_ms_of(const struct cairn_server_options *options, const struct cairn_protocol *protocol)
{
    return *(const uint32_t *)((const char *)options + protocol->idle_ms_offset);
}

static uint32_t sweep_ms(const struct cairn_server_options *options)
{
    uint32_t shortest = options->partial_ms;

    if (options->stalled_ms < shortest)
        shortest = options->stalled_ms;
    for (uint32_t i = 0; cairn_protocols[i]; i++) {
        uint32_t idle_ms = idle_ms_of(options, cairn_protocols[i]);

        if (idle_ms && idle_ms < shortest)
            shortest = idle_ms;
    }
    shortest /= 4;
    return shortest < SWEEP_MS_MIN ? SWEEP_MS_MIN : shortest > SWEEP_MS_MAX ? SWEEP_MS_MAX : shortest;
}

/* Looks whether a request takes too long to arrive. */
static bool partial_too_long(struct connection *connection, uint64_t now_ms, uint32_t partial_ms)
{
    size_t bytes = cairn_session_partial_bytes(connection->session);
    uint32_t requests = cairn_session_requests(connection->session);

    if (bytes == 0 || requests != connection->requests_seen || !connection->partial_since_ms) {
        connection->requests_seen = requests;
        connection->partial_since_ms = bytes ? now_ms : 0;
        return false;
    }
    return now_ms - connection->partial_since_ms > partial_ms + bytes / PARTIAL_BYTES_PER_MS;
}

static void check_times(struct connection *connection, uint64_t now_ms)
{
    const struct cairn_server_options *options = &connection->seat->server->options;
    struct cairn_session *session = connection->session;
    uint32_t idle_ms;

    if (!session) {
        if (now_ms - connection->lingers_since_ms > LINGER_MS)
            close_connection(connection);
        return;
    }
    if (connection->lent)
        return; /* the mover looks after it */
    idle_ms = idle_ms_of(options, cairn_session_protocol(session));
    if (connection->stalled_since_ms && now_ms - connection->stalled_since_ms > options->stalled_ms) {
        close_connection(connection);
    } else if (partial_too_long(connection, now_ms, options->partial_ms)) {
        cairn_session_timed_out(session);
        serve(connection);
    } else if (cairn_session_idle(session)) {
        cairn_session_trim(session);
        if (idle_ms && !connection->partial_since_ms && now_ms - connection->active_ms > idle_ms)
            close_connection(connection);
    }
}

static void for_each_connection(struct cairn_seat *seat, void (*call)(struct connection *connection, uint64_t now_ms),
                                uint64_t now_ms)
{
    struct cairn_link *link, *next;

    for (link = seat->connections.next; link != &seat->connections; link = next) {
        next = link->next;
        call(cairn_container(link, struct connection, link), now_ms);
    }
}

/* Requests are refused for want of memory: the clients that let the most replies wait, and those that let half as many
 * wait as the first of them, are given up. */
static void make_room(struct cairn_seat *seat)
{
    struct cairn_link *link, *next;
    size_t most = SHORT_BYTES;

    for (link = seat->connections.next; link != &seat->connections; link = link->next) {
        struct connection *connection = cairn_container(link, struct connection, link);
        size_t bytes = connection->session ? cairn_session_waiting_bytes(connection->session) : 0;

        most = bytes > most ? bytes : most;
    }
    for (link = seat->connections.next; link != &seat->connections; link = next) {
        struct connection *connection = cairn_container(link, struct connection, link);
        size_t bytes = connection->session ? cairn_session_waiting_bytes(connection->session) : 0;

        next = link->next;
        if (bytes > SHORT_BYTES && bytes >= most / 2) {
            cairn_session_give_up(connection->session);
            serve(connection);
        }
    }
}

static void finish(struct connection *connection, uint64_t now_ms)
{
    (void)now_ms;
    if (!connection->session)
        return;
    cairn_session_finish(connection->session);
    serve(connection);
}

static void cut_off(struct connection *connection, uint64_t now_ms)
{
    (void)now_ms;
    close_connection(connection);
}

/* True when the thread has ended its work. */
static bool stop_step(struct cairn_seat *seat, int stage, uint64_t now_ms)
{
    for (int i = 0; i < 2 * CAIRN_PROTOCOLS; i++)
        seat->ports[i / 2][i % 2].listener = cairn_listener_close(seat->ports[i / 2][i % 2].listener);
    atomic_store_explicit(&seat->front.draining, true, memory_order_relaxed); /* for readyz */
    if (stage != CAIRN_SERVER_CLOSING)
        return false;
    if (!seat->close_by_ms) {
        seat->close_by_ms = now_ms + CLOSE_MS;
        for_each_connection(seat, finish, now_ms);
    } else if (now_ms >= seat->close_by_ms) {
        for_each_connection(seat, cut_off, now_ms);
    }
    return seat->connection_count == 0;
}

/* --- the thread --- */

bool cairn_seat_turn(void *context, uint64_t *ret_wait_ns)
{
    struct cairn_seat *seat = context;
    struct cairn_server *server = seat->server;
    struct cairn_front *front = &seat->front;
    const struct cairn_backend *backend = server->backend;
    uint64_t submitted = front->submitted, now_ms = cairn_loop_now_ms(seat->loop);
    struct cairn_session *session;
    bool more;
    int stage;

    take_back(seat);
    more = backend->run(front->worker, server->options.turn_ns);
    stage = atomic_load_explicit(&server->stage, memory_order_acquire);

    cairn_seat_reply_metrics(seat);
    while ((session = cairn_front_next(front)))
        serve(cairn_session_owner(session));
    more |= front->submitted != submitted; /* input that had waited was taken up */
    if (stage != CAIRN_SERVER_RUNNING) {
        if (stop_step(seat, stage, now_ms)) {
            cairn_loop_stop(seat->loop);
            return false;
        }
        *ret_wait_ns = 10000000;
    }
    if (seat->connection_count && now_ms >= seat->sweep_at_ms) {
        seat->sweep_at_ms = now_ms + sweep_ms(&server->options);
        for_each_connection(seat, check_times, now_ms);
    }
    if (now_ms >= seat->short_at_ms && cairn_front_short(front)) {
        seat->short_at_ms = now_ms + SHORT_MS;
        make_room(seat);
    }
    if (!more) {
        uint64_t next_ns = backend->next_ns(front->worker);
        uint64_t sweep_ns = seat->sweep_at_ms > now_ms ? (seat->sweep_at_ms - now_ms) * 1000000 : 1000000;

        if (next_ns < *ret_wait_ns)
            *ret_wait_ns = next_ns;
        if (seat->connection_count && sweep_ns < *ret_wait_ns)
            *ret_wait_ns = sweep_ns;
    }
    return more;
}

void *cairn_seat_main(void *context)
{
    struct cairn_seat *seat = context;
    struct cairn_server *server = seat->server;

    cairn_loop_run(seat->loop);
    assert(seat->connection_count == 0);
    atomic_fetch_add(&server->seats_ended, 1);
    cairn_loop_wake(server->loop);
    return NULL;
}

enum cairn_code cairn_seat_listen(struct cairn_seat *seat, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (int i = 0; code == CAIRN_OK && i < 2 * CAIRN_PROTOCOLS; i++) {
        struct cairn_seat_port *port = &seat->ports[i / 2][i % 2];

        if (port->fd < 0)
            continue;
        port->seat = seat;
        port->protocol = cairn_protocols[i / 2];
        code = cairn_listener_open(seat->loop, port->fd, on_accept, port, &port->listener, err);
        port->fd = -1;
    }
    return code;
}
