/* protocol.h - what a front is: one struct, its index, and its line in protocols.c.
 *
 * A front is a port, and a protocol that is spoken there.  Everything else (listeners, timeouts, flow control, pushes,
 * metrics) goes over the table and knows no protocol by name.
 * Threads: the table does not change; a session's functions run on its worker's thread.
 * Layer: server. */
#ifndef CAIRN_SERVER_PROTOCOL_H
#define CAIRN_SERVER_PROTOCOL_H

#include "base/bytes.h"

struct cairn_front;
struct cairn_move;
struct cairn_session;
struct cairn_slot;

/* Their places in the table and in statistics. */
enum cairn_protocol_index { CAIRN_PROTOCOL_RESP, CAIRN_PROTOCOL_HTTP, CAIRN_PROTOCOL_ZK, CAIRN_PROTOCOLS };

struct cairn_protocol {
    enum cairn_protocol_index index;
    const char *name; /* in metrics; its flag is --NAME ADDR */
    uint16_t default_port;
    /* Its members of struct cairn_server_options: a const char * and a uint32_t. */
    size_t address_offset, idle_ms_offset;
    uint32_t idle_ms;  /* how long a connection may be idle, unless the options say otherwise; 0: for ever */
    bool shows_client; /* sessions are told their clients' addresses */
    /* If its port is taken, and no flag asked for it, the node goes on without this front. */
    bool dispensable;

    struct cairn_session *(*open)(struct cairn_front *front, void *owner);
    /* What a connection beyond the bound is told before it is closed. */
    void (*turn_away)(struct cairn_buf *to);

    /* Parses and submits what is whole in `input`, until it ends, the session is full or ending;
     * returns the bytes used.  Unused bytes come again, with more behind them. */
    size_t (*parse)(struct cairn_session *session, struct cairn_bytes input);
    /* Writes the reply of a slot's request. */
    void (*write)(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                  struct cairn_buf *to);
    /* Goes on with a command of several steps (cairn_session_work_begin): called when none of the session's requests
     * is under way.  Returns when it has submitted one, when it waits for the output to be sent, or at the end with
     * cairn_session_work_end.  NULL: there are none. */
    void (*step)(struct cairn_session *session);
    size_t (*partial_bytes)(const struct cairn_session *session); /* besides session->in */
    void (*timed_out)(struct cairn_session *session);
    void (*too_big)(struct cairn_session *session); /* no memory for half requests: tells, ends */
    /* The session's move is over; NULL: it has none. */
    void (*moved)(struct cairn_session *session, struct cairn_move *move);
    /* The connection goes, and its requests under way are still answered; may be NULL. */
    void (*closing)(struct cairn_session *session);
    void (*trim)(struct cairn_session *session); /* gives back memory of an idle session; may be NULL */
    void (*free)(struct cairn_session *session); /* the protocol's part and the session itself */
};

/* All of them, by index; ends with NULL. */
extern const struct cairn_protocol *const cairn_protocols[CAIRN_PROTOCOLS + 1];

extern const struct cairn_protocol cairn_resp_protocol, cairn_http_protocol, cairn_zk_protocol;

#endif
