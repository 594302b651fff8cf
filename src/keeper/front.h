/* front.h - the half of this room that is on a link's worker: connecting, and asks on their way.
 *
 *   connect: enter (at the tree's owner, which deploys the module) -> Session.open
 *                                                                  or Session.attach -> attach (at the owner)
 *   a read:  at the owner, and back         a write: Session.write, which calls Tree.commit
 *
 * Data that belongs into the blob store is put there first (puts.h), and the write and those behind it are sent once
 * that is done; reads behind them go to the owner meanwhile, and wait there.  What is read from there is fetched
 * (fetch.h).
 *
 * A write has the next number of its link, and a read the number of the last write before it, so that the owner can
 * tell whether it is the read's turn.
 * Threads: the link's worker, but for tasks at the owner.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_FRONT_H
#define CAIRN_KEEPER_FRONT_H

#include "keeper/links.h"

/* What is under way for an ask.  While the request is at the owner nothing is changed here. */
struct keeper_task {
    struct cairn_request request; /* first: to the owner */
    struct cairn_worker *worker;
    struct keeper_home *home;
    struct keeper_ask *ask;
    struct keeper_link *link;
    enum { TASK_ENTER, TASK_ATTACH, TASK_READ, TASK_WRITE } kind;
    uint64_t session;
    uint32_t generation;
    uint64_t number;            /* of the write; of a read: what it waits for */
    struct cairn_link at;       /* link->writes */
    struct cairn_link all;      /* keeper_worker.tasks */
    struct keeper_task *next;   /* of the writes that went together */
    bool behind_read;           /* a write: a read came between it and the write before it */
    bool is_done, is_open;      /* a write: it has its outcome; and may not have come to the tree */
    struct keeper_puts *puts;   /* of a write, NULL: none */
    struct cairn_link unsent;   /* link->unsent */
    struct keeper_fetch *fetch; /* of a read, NULL: none */
};

/* The owners are told which sessions were heard. */
void keeper_front_tell_heard(struct keeper_worker *kw);
void keeper_front_close(struct keeper_worker *kw);

extern const struct operation keeper_operation;

#endif
