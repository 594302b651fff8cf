/* talk.h - one session over a stand-in for the node, driven by hand as the listeners would: for tests of the fronts. */
#ifndef CAIRN_TESTS_SERVER_TALK_H
#define CAIRN_TESTS_SERVER_TALK_H

#include "io/clock.h"
#include "server/session.h"
#include "server/zk_clients.h"
#include "server/standin.h"

struct talk {
    struct cairn_sim_clock clock;
    struct standin *standin;
    struct cairn_front_about about;
    struct cairn_zk_settings zk;
    struct cairn_zk_clients zk_clients;
    struct cairn_front front;
    struct cairn_session *session; /* NULL: closed */
    struct cairn_buf got;          /* what the client has received */
    bool sends;                    /* false: the client takes nothing */
};

/* limits may be NULL. */
struct talk *talk_create(struct cairn_session *(*open)(struct cairn_front *front, void *owner),
                         const struct cairn_front_limits *limits);
void talk_destroy(struct talk *talk);
/* The client is gone. */
void talk_hang_up(struct talk *talk);
/* One turn of what the listeners do; false when nothing was to be done. */
bool talk_turn(struct talk *talk);
/* Turns until nothing is to be done. */
void talk_settle(struct talk *talk);
void talk_input(struct talk *talk, const char *text);
void talk_input_bytes(struct talk *talk, struct cairn_bytes bytes);
/* The words of one line become one command of RESP. */
void talk_command(struct talk *talk, const char *line);
/* What has been received since the last call. */
const char *talk_received(struct talk *talk);
void talk_expect(struct talk *talk, const char *label, const char *want);

#endif
