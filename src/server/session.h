/* session.h - one client's conversation: bytes in, requests out; replies in, bytes out in the
 * order of the commands.  No sockets: the listeners drive it, and so can a simulator.
 *
 *   bytes -> cairn_session_input -> [protocol] -> slot -> backend.submit
 *   reply -> slot -> output, as soon as every earlier slot has its reply
 *
 * A slot is one command's place in the order of replies.  In the common case the oldest slot
 * is answered first and its reply is written straight into the output.
 *
 * Flow control: a session stops taking input (cairn_session_reads is false) while too many
 * commands are under way or too much output waits.  How many commands may be under way
 * shrinks with the size of the replies, so that a client that asks for a thousand large
 * results does not make the node hold them all.
 *
 * Memory: what a session keeps (requests under way, replies that wait, output) is charged to its account and to the
 * front's purse.  At session_bytes it takes no more input.  When half of the node's memory is used, sessions that keep
 * more than SESSION_FREE_BYTES wait until their own requests are done and their replies sent, and those that keep
 * several times output_bytes of output are closed; half received requests have an eighth of it.  The largest are
 * closed while it is so short that requests are refused (cairn_session_short).
 *
 * The owner calls cairn_front_next after the worker has run, until it returns NULL, and for each
 * session: takes output (cairn_session_output, cairn_session_sent), closes it when
 * cairn_session_over, and reads from the client or not as cairn_session_reads says.
 *
 * Threads: a front and its sessions belong to one worker's thread; stats and `draining` are atomics.
 * Layer: server; uses proto, and object through backend.h. */
#ifndef CAIRN_SERVER_SESSION_H
#define CAIRN_SERVER_SESSION_H

#include <stdatomic.h>

#include "base/list.h"
#include "io/clock.h"
#include "proto/http.h"
#include "proto/resp.h"
#include "server/backend.h"
#include "server/protocol.h"

struct cairn_session;
struct cairn_slot;

/* 0 in any member means its default. */
struct cairn_front_limits {
    uint32_t under_way;            /* commands of one session: 1024 */
    uint32_t output_bytes;         /* unsent, of one session, before its input waits: 1 MiB */
    uint32_t bulk_bytes;           /* one word of a command; a request's body: 33 MiB */
    uint32_t words;                /* of one command: 4096 */
    uint32_t line_bytes;           /* inline commands; a request's target: 16 KiB */
    uint32_t headers;              /* of a request: 100 */
    uint32_t header_bytes;         /* all of them: 32 KiB */
    uint32_t partial_bytes;        /* of a half received request, before it may be refused for want of memory: 16 KiB */
    uint32_t transaction_commands; /* between MULTI and EXEC: 16,384 */
    uint32_t transaction_bytes;    /* of these commands: 32 MiB; they count as half received */
    uint64_t post_bytes;           /* on their way to the sessions of a worker, from other threads: 64 MiB */
    uint64_t session_bytes;        /* one session's requests and replies before its input waits: 64 MiB */
    uint64_t memory_bytes;         /* of a front whose backend has no budget: 1 GiB */
};

struct cairn_front_stats {
    atomic_uint_least64_t sessions[CAIRN_PROTOCOLS], sessions_total[CAIRN_PROTOCOLS]; /* as cairn_protocols */
    atomic_uint_least64_t requests[CAIRN_PROTOCOLS], errors[CAIRN_PROTOCOLS]; /* commands; replies that are errors */
    atomic_uint_least64_t bytes_in, bytes_out;
    atomic_uint_least64_t refused;               /* connections over the bound */
    atomic_uint_least64_t timed_out, overflowed; /* sessions closed for it */
};

struct cairn_front;
struct cairn_zk_clients;

/* Of the ZooKeeper front. */
struct cairn_zk_settings {
    uint64_t reply_bytes_max; /* a longer answer is error -5 instead; 0: there is no bound */
    const char *words;        /* the four-letter words that are answered, with commas between; "*": all; NULL: the
                               * default, srvr,ruok,mntr */
    const char *space;        /* the namespace that the port serves; NULL: `default` */
    const char *super;        /* USER:DIGEST, as ZooKeeper's superDigest; NULL: there is none */
};

/* Names a session on any thread, also beyond its end: then what is posted to it is dropped. */
struct cairn_session_ref {
    uint64_t id; /* unique on the node; 0: none */
    uint32_t worker, place;
};

/* What does not change while the node runs, for INFO, CONFIG GET and the like. */
struct cairn_front_about {
    uint16_t http_port, resp_port, zk_port;
    uint64_t started_ms; /* wall clock */
    const char *sync;    /* as given to --sync */
    const char *data;    /* the data folder */
    uint32_t connections_max;
    bool loopback_only;                  /* HTTP listens on the loopback only */
    const struct cairn_zk_settings *zk;  /* as the next, of a node with that front */
    struct cairn_zk_clients *zk_clients; /* zk_clients.h */
    /* Answers the request with the page of metrics, a byte string, as a backend's submit does.  The front's thread only
     * asks: the page may be long, and is made on another. */
    void (*metrics)(void *context, struct cairn_front *front, struct cairn_request *request);
    /* The same with a page of an export (exports.h): at_ms is its id, limit the page, number the version,
     * name the namespace. */
    void (*export_page)(void *context, struct cairn_front *front, struct cairn_request *request);
    void (*totals)(void *context, struct cairn_front_stats *ret_sums);
    /* The front of a worker, and the way to have its owner call cairn_front_next: for posts; any thread. */
    struct cairn_front *(*front)(void *context, uint32_t worker);
    void (*wake)(void *context, uint32_t worker);
    void *context;
};

struct cairn_post;
struct cairn_resp_command;

enum { CAIRN_FRONT_RECENT = 16 };

/* What the sessions of one worker share. */
struct cairn_front {
    const struct cairn_backend *backend;
    struct cairn_worker *worker;
    struct cairn_clock *clock;
    const struct cairn_front_about *about;
    struct cairn_front_limits limits;
    struct cairn_resp_limits resp_limits;
    struct cairn_http_limits http_limits;
    uint32_t index;
    struct space *space; /* `default`; NULL: the backend has no namespaces */

    struct cairn_link sessions; /* all */
    struct cairn_link touched;  /* those that the owner should look at */
    struct cairn_link later;    /* those whose command of several steps goes on in the next round */
    /* Sessions that have a reference, and which of these places are free. */
    struct cairn_session **places;
    uint32_t *free_places;
    uint32_t place_count, free_place_count;
    /* Posts on their way: any thread puts them in front, the owner takes all.  `post_bytes` is what they hold. */
    _Atomic(struct cairn_post *) posts;
    atomic_size_t post_bytes;
    bool round_over; /* cairn_front_next has returned NULL */
    struct cairn_slot *free_slots;
    uint32_t free_slot_count;
    struct cairn_budget own, *memory;        /* memory: the backend's, or own */
    struct cairn_budget partial;             /* half received requests; of `memory` */
    struct cairn_purse purse, partial_purse; /* of `memory`; of `partial` */
    uint64_t next_id;
    struct cairn_random job_ids; /* of jobs whose clients ask for one before they begin */
    struct cairn_buf scratch;
    const struct cairn_resp_command
        *recent[CAIRN_FRONT_RECENT]; /* commands of the cache, found lately (resp_cache.c) */
    uint64_t submitted;              /* counts submissions, so that the owner sees whether there were new ones */
    char date[32];                   /* HTTP's, of date_s */
    uint64_t date_s;
    struct cairn_front_stats stats;
    atomic_bool draining; /* the node is stopping */
};

/* limits may be NULL. */
void cairn_front_init(struct cairn_front *front, const struct cairn_backend *backend, uint32_t index,
                      struct cairn_clock *clock, const struct cairn_front_limits *limits,
                      const struct cairn_front_about *about);
/* All sessions are closed, and the backend will not reply any more. */
void cairn_front_done(struct cairn_front *front);

/* The next session that has output, is over, or may read again; NULL when there is none. */
struct cairn_session *cairn_front_next(struct cairn_front *front);

struct cairn_session *cairn_resp_session_open(struct cairn_front *front, void *owner);
struct cairn_session *cairn_http_session_open(struct cairn_front *front, void *owner);
struct cairn_session *cairn_zk_session_open(struct cairn_front *front, void *owner);

/* The bytes are borrowed for the call. */
void cairn_session_input(struct cairn_session *session, struct cairn_bytes bytes);
/* The client will send nothing more: what it asked for is still answered. */
void cairn_session_input_ended(struct cairn_session *session);

/* Unsent output; valid until the session is used again. */
struct cairn_bytes cairn_session_output(const struct cairn_session *session);
void cairn_session_sent(struct cairn_session *session, size_t bytes);
bool cairn_session_reads(const struct cairn_session *session);
/* Everything is sent and nothing will follow. */
bool cairn_session_over(const struct cairn_session *session);
/* It is over because it was given up: the client took too little. */
bool cairn_session_cut(const struct cairn_session *session);
/* Bytes of a request whose rest has not arrived; 0: none. */
size_t cairn_session_partial_bytes(const struct cairn_session *session);
/* Adds bytes that are no reply.  They go out behind what is in the output already, and before every reply that is not:
 * a message that is pushed before a request runs is seen before that request's reply.  A client that lets several
 * times output_bytes wait is cut off. */
void cairn_session_push(struct cairn_session *session, struct cairn_bytes bytes);
/* The session's name for other threads.  Owner's thread. */
struct cairn_session_ref cairn_session_ref(struct cairn_session *session);
/* Any thread, until the fronts are done: pushes a copy of the bytes.  Posts of one thread to one session keep their
 * order; one to a session that has ended is dropped.  False: too much is on its way to that worker; nothing is sent. */
bool cairn_session_post(const struct cairn_front_about *about, struct cairn_session_ref to, struct cairn_bytes bytes);
/* Counts whole requests. */
uint32_t cairn_session_requests(const struct cairn_session *session);
/* Nothing is under way and nothing waits to be sent. */
bool cairn_session_idle(const struct cairn_session *session);
/* Bytes of replies that wait: for the client, or for earlier replies. */
size_t cairn_session_waiting_bytes(const struct cairn_session *session);
/* Memory is so short that requests are refused: sessions with the most waiting bytes should be given up. */
bool cairn_front_short(const struct cairn_front *front);
/* Gives the session up: it is over, and cut. */
void cairn_session_give_up(struct cairn_session *session);
/* A move that the owner lends the connection for: one that takes bytes in at once, one that sends when all output has
 * left; NULL: there is none.  The owner says when it is over, and nothing is sent or read meanwhile. */
struct cairn_move;
struct cairn_move *cairn_session_move(const struct cairn_session *session);
void cairn_session_moved(struct cairn_session *session);
void *cairn_session_owner(const struct cairn_session *session);
const struct cairn_protocol *cairn_session_protocol(const struct cairn_session *session);
/* The client took too long over a request: tells it so where the protocol can, then ends. */
void cairn_session_timed_out(struct cairn_session *session);
/* The node is stopping: takes no more input, is over after the replies under way. */
void cairn_session_finish(struct cairn_session *session);
/* Gives memory back that an idle session does not need. */
void cairn_session_trim(struct cairn_session *session);
/* For CLIENT LIST; copied. */
void cairn_session_name_peer(struct cairn_session *session, const char *peer);
/* Replies under way will be dropped.  The session is not to be used any more. */
void cairn_session_close(struct cairn_session *session);

#endif
