/* zk_clients.h - the connections of the ZooKeeper front, and how their requests went: for the words and for pages.
 *
 * Each connection has a struct cairn_zk_client, whose counters its worker writes and any thread reads.  They stand in
 * one list under a lock, which is taken when a connection comes, when it goes, and to list them; a list copies what it
 * needs and formats it later.
 * Threads: any.  Layer: server (private). */
#ifndef CAIRN_SERVER_ZK_CLIENTS_H
#define CAIRN_SERVER_ZK_CLIENTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/list.h"

enum { CAIRN_ZK_PEER_BYTES = 64 };

/* Of requests; times in microseconds.  One thread writes, but for what `srst` and `crst` set to 0. */
struct cairn_zk_counts {
    _Alignas(CAIRN_LINE_BYTES) atomic_uint_least64_t received, sent, answered;
    atomic_uint_least64_t us_total, us_min, us_max; /* us_min: 0 is none, else one more than it is */
};

/* What was answered, by operation (enum cairn_zk_op in proto/zk.h), since the node's start.  One thread writes. */
enum { CAIRN_ZK_OP_FIRST = -11, CAIRN_ZK_OP_LAST = 107 };

struct cairn_zk_operations {
    _Alignas(CAIRN_LINE_BYTES) atomic_uint_least64_t of[CAIRN_ZK_OP_LAST - CAIRN_ZK_OP_FIRST + 1];
};

struct cairn_zk_client {
    struct cairn_link link;
    struct cairn_zk_counts *of_worker; /* of all that the worker has had */
    struct cairn_zk_operations *operations;
    char peer[CAIRN_ZK_PEER_BYTES];
    uint64_t since_ms;
    struct cairn_zk_counts counts;
    atomic_uint_least64_t session, last_zxid, last_ms, last_us;
    atomic_uint timeout_ms, queued;
    atomic_int last_op, last_xid;
};

/* What it is like at one moment. */
struct cairn_zk_client_now {
    char peer[CAIRN_ZK_PEER_BYTES];
    uint64_t since_ms, received, sent, answered, us_total, us_min, us_max, session, last_zxid, last_ms, last_us;
    uint32_t timeout_ms, queued;
    int32_t last_op, last_xid;
};

struct cairn_zk_clients {
    pthread_mutex_t lock; /* of the list, and of the peers' names */
    struct cairn_link list;
    uint64_t count;
    struct cairn_zk_counts *counts; /* by worker */
    struct cairn_zk_operations *operations;
    uint32_t workers;
};

void cairn_zk_clients_init(struct cairn_zk_clients *clients, uint32_t workers);
void cairn_zk_clients_done(struct cairn_zk_clients *clients);

struct cairn_zk_client *cairn_zk_client_open(struct cairn_zk_clients *clients, uint32_t worker, uint64_t now_ms);
void cairn_zk_client_name(struct cairn_zk_clients *clients, struct cairn_zk_client *client, const char *peer);
void cairn_zk_client_close(struct cairn_zk_clients *clients, struct cairn_zk_client *client);
/* The owner's thread: a request has come; a reply or an event leaves. */
void cairn_zk_client_received(struct cairn_zk_client *client);
void cairn_zk_client_sent(struct cairn_zk_client *client);
/* The reply of a request that came so long ago.  An operation that is none counts for none. */
void cairn_zk_client_answered(struct cairn_zk_client *client, int32_t op, uint64_t us);

/* All of them, *ret_count; the caller frees it. */
struct cairn_zk_client_now *cairn_zk_clients_list(struct cairn_zk_clients *clients, size_t *ret_count);
/* Of all workers together, those too that have gone: the members that counts have. */
struct cairn_zk_client_now cairn_zk_clients_total(struct cairn_zk_clients *clients);
/* How many of that operation were answered. */
uint64_t cairn_zk_clients_operations(const struct cairn_zk_clients *clients, int32_t op);
uint64_t cairn_zk_clients_count(struct cairn_zk_clients *clients);
/* Every connection's counts begin anew, or those of the workers. */
void cairn_zk_clients_reset(struct cairn_zk_clients *clients, bool of_workers);

#endif
