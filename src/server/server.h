/* server.h - the process's front: worker threads with their event loops, listeners, connections;
 * starting, stopping, signals.
 *
 *   create -> start -> run ... stop -> (run returns) -> destroy
 *
 * Every worker has a thread, a loop, and its own listeners on the shared ports (SO_REUSEPORT); a
 * connection stays with the worker that accepted it.  One turn of a worker's loop: read what
 * has come, submit it, run the worker, send every reply that is ready with one system call per
 * connection.
 *
 * Stopping: no connections are taken any more, new requests are refused with `unavailable`, what
 * was admitted goes on until it is done or the deadline is over; then replies are flushed and
 * the threads end.
 * Threads: create, start, run and destroy belong to one thread; wake and stop to any.
 * Layer: server. */
#ifndef CAIRN_SERVER_SERVER_H
#define CAIRN_SERVER_SERVER_H

#include "server/backend.h"
#include "io/loop.h"
#include "server/exporter.h"
#include "server/journal.h"
#include "server/session.h"

enum { CAIRN_HTTP_PORT = 7070, CAIRN_RESP_PORT = 6379, CAIRN_ZK_PORT = 2181 };

/* 0 or NULL in any member means its default. */
struct cairn_server_options {
    const char *http;         /* "localhost:7070", which is 127.0.0.1 and [::1]; "off": none; port 0: any free one */
    const char *resp;         /* "localhost:6379" */
    const char *zk;           /* "localhost:2181", and none if that is taken */
    bool insecure;            /* allows addresses other than the loopback's */
    uint32_t workers;         /* must be set */
    uint32_t connections_max; /* 20,000 */
    uint64_t turn_ns;         /* how long a worker runs before replies are sent and input is read: 250 us */
    uint32_t partial_ms;      /* for a whole request to arrive (and more for what is large): 30 s */
    uint32_t stalled_ms;      /* for a client to take some of its replies: 60 s */
    uint32_t http_idle_ms;    /* 10 min */
    uint32_t resp_idle_ms;    /* 0: for ever, as Redis's default */
    uint32_t zk_idle_ms;      /* 2 min, above every session's timeout: a silent session's connection ends, not it */
    uint32_t stop_ms;         /* for admitted requests at a stop: 10 s */
    struct cairn_front_limits limits;
    struct cairn_zk_settings zk_settings;
    struct cairn_clock *clock;       /* must be set */
    const char *sync, *data;         /* for people: INFO */
    struct cairn_journal *journal;   /* what the server tells; SIGHUP has it open its file again.  NULL: none */
    struct cairn_exporter *exporter; /* the same of SIGHUP; NULL: none */
    /* SIGTERM, SIGINT, SIGQUIT, SIGPWR and SIGXCPU stop, and a second one ends the process at once; SIGHUP is for the
     * journal. */
    bool signals;
    void (*on_stopping)(void *context, const char *why); /* run's thread; may be NULL */
    void *context;
};

struct cairn_server;

/* Binds the ports.  CAIRN_ECONFLICT: taken; CAIRN_EACCES: not allowed, or not the loopback's without
 * `insecure`. */
enum cairn_code cairn_server_create(const struct cairn_server_options *options, struct cairn_server **ret_server,
                                    struct cairn_err *err);
/* The addresses it is bound to; NULL: off. */
const struct cairn_address *cairn_server_http(const struct cairn_server *server);
const struct cairn_address *cairn_server_resp(const struct cairn_server *server);
const struct cairn_address *cairn_server_zk(const struct cairn_server *server);
/* Why there is none, though it is not switched off; NULL: it is there, or off. */
const char *cairn_server_zk_fault(const struct cairn_server *server);

/* Any thread, also before start: for cairn_node_options.wake with the server as its context. */
void cairn_server_wake(void *server, uint32_t index);

/* Starts the threads and takes connections.  The backend is borrowed until destroy. */
enum cairn_code cairn_server_start(struct cairn_server *server, const struct cairn_backend *backend,
                                   struct cairn_err *err);
/* Until stopped, by a signal or cairn_server_stop.  True if everything admitted was finished in time. */
bool cairn_server_run(struct cairn_server *server);
void cairn_server_stop(struct cairn_server *server);
/* The backend is gone: nothing replies or wakes any more.  Returns NULL; accepts NULL. */
struct cairn_server *cairn_server_destroy(struct cairn_server *server);

/* Prometheus text of backend, fronts and process, in parts as struct cairn_backend has them.  Any thread. */
void cairn_server_metrics(struct cairn_server *server, struct cairn_bytes cursor, struct cairn_buf *to,
                          struct cairn_buf *next);

#endif
