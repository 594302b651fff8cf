/* server_internal.h - a server and its threads; seen inside server/ only. */
#ifndef CAIRN_SERVER_SERVER_INTERNAL_H
#define CAIRN_SERVER_SERVER_INTERNAL_H

#include <pthread.h>

#include "io/loop.h"
#include "io/task.h"
#include "server/server.h"
#include "server/zk_clients.h"

/* RUNNING -> DRAINING (stop asked: admitted requests go on) -> CLOSING (replies are flushed, threads end) */
enum cairn_server_stage { CAIRN_SERVER_RUNNING, CAIRN_SERVER_DRAINING, CAIRN_SERVER_CLOSING };

/* Where one front listens: at its address, or at [::1] as well where no address was given, since "localhost" is either
 * to a client. */
struct cairn_seat_port {
    struct cairn_seat *seat;
    const struct cairn_protocol *protocol;
    int fd; /* bound, not yet listened at; -1: none */
    struct cairn_listener *listener;
};

struct cairn_move;

/* One worker's thread. */
struct cairn_seat {
    struct cairn_server *server;
    struct cairn_loop *loop;
    struct cairn_front front;
    pthread_t thread;
    bool started;
    uint32_t index;
    struct cairn_seat_port ports[CAIRN_PROTOCOLS][2]; /* as cairn_protocols; the second is of [::1] */
    struct cairn_link connections;
    uint32_t connection_count;
    uint64_t sweep_at_ms;
    uint64_t short_at_ms; /* when sessions are searched again for the one that keeps most, if memory is short */
    uint64_t close_by_ms; /* CLOSING: when connections are cut off; 0: not begun */
    _Atomic(struct cairn_move *) moved;     /* a stack of those that are over; pushed by movers */
    _Atomic(struct cairn_scrape *) scrapes; /* a stack of those whose page is made; pushed by the page's thread */
};

struct cairn_server {
    struct cairn_server_options options;
    struct cairn_front_about about;
    struct cairn_zk_clients zk_clients;
    const struct cairn_backend *backend;
    struct { /* as cairn_protocols */
        struct cairn_address address;
        bool there;
        char fault[640]; /* why not, though it was not switched off; empty: none */
    } fronts[CAIRN_PROTOCOLS];
    struct cairn_loop *loop; /* run's */
    struct cairn_seat *seats;
    uint64_t stop_by_ms;
    bool finished_all;
    uint64_t watch_at_ms; /* when it is looked next whether something is to be told */
    struct cairn_front_stats told;

    /* Cross threads, each on its own: stop asked, stage for the seats, seats that have ended,
     * connections of all seats. */
    atomic_bool stop_asked;
    atomic_int stage;
    atomic_uint seats_ended;
    atomic_uint connections;

    /* metrics.c: the page of numbers, on a thread of its own. */
    struct cairn_tasks *page_tasks;
    struct cairn_task page_task;
    pthread_mutex_t page_lock; /* of the two */
    struct cairn_scrape *page_waiting;
    bool page_queued;
    struct cairn_tasks *export_tasks; /* ask_export.c: one thread */
};

/* metrics.c: page_task's; what a front's thread asks for ... */
void cairn_server_make_page(struct cairn_task *task);
void cairn_server_ask_metrics(void *server, struct cairn_front *front, struct cairn_request *request);
/* ... and replies with, in its turn. */
void cairn_seat_reply_metrics(struct cairn_seat *seat);
/* Any thread: the request gets that value, which is taken over, in the seat's turn. */
void cairn_seat_answer(struct cairn_seat *seat, struct cairn_request *request, struct cairn_buf *value);
/* ask_export.c: a page of an export; request->at_ms is its id, or 0, limit the page, number the version. */
void cairn_server_ask_export(void *server, struct cairn_front *front, struct cairn_request *request);
/* Frees what has not been replied to. */
void cairn_seat_drop_metrics(struct cairn_seat *seat);

/* listeners.c: one worker's thread, from its listeners to its last connection. */
void *cairn_seat_main(void *seat);
/* Starts to listen at the bound ports, before the thread runs. */
enum cairn_code cairn_seat_listen(struct cairn_seat *seat, struct cairn_err *err);
bool cairn_seat_turn(void *seat, uint64_t *ret_wait_ns);

void cairn_server_totals(void *server, struct cairn_front_stats *ret_sums);

#endif
