/* zk.h - a client of a node's ZooKeeper port, for commands: one session, one request at a time.
 *
 * CAIRN_ZK names the port, localhost:2181 if it does not.  What goes wrong has been printed, and *ret_exit is the exit
 * status.
 * Layer: cli. */
#ifndef CAIRN_CLI_ZK_H
#define CAIRN_CLI_ZK_H

#include "cli/flags.h"
#include "proto/zk.h"

#define CAIRN_ZK_DEFAULT "localhost:2181"

struct cairn_zk {
    int fd; /* -1: none */
    int32_t xid;
    uint32_t timeout_ms;
    const char *name;    /* as CAIRN_ZK has it */
    struct cairn_buf in; /* received, and not looked at yet; its first `used` bytes are the last answer */
    size_t used;
    struct cairn_buf out;
};

/* With a session.  `auth`, "USER:PASSWORD", may be NULL. */
bool cairn_zk_open(struct cairn_zk *zk, const char *auth, int *ret_exit);
/* The answer's views hold until the next call.  False also of an answer that is an error. */
bool cairn_zk_ask(struct cairn_zk *zk, const struct cairn_zk_request *request, struct cairn_zk_reply *ret,
                  int *ret_exit);
/* Waits for the next event, and keeps the session alive meanwhile. */
bool cairn_zk_event(struct cairn_zk *zk, struct cairn_zk_event *ret, int *ret_exit);
/* Closes the session, too. */
void cairn_zk_close(struct cairn_zk *zk);

#endif
