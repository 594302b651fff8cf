/* tree.h - a namespace's tree at its owner: its sessions, and what of its nodes is read.
 *
 * The struct is made when the first ask or the first commit comes to the tree, and is memory: it is filled from the
 * tree's fields, and kept up by the commits that follow.  After a start all sessions have their full timeout again.
 *
 * Lineage: the tree's fields say of which incarnation of the object and how many restores of the node its sessions are.
 * While that is not the present one everything waits, and Tree.begin ends all sessions.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_TREE_H
#define CAIRN_KEEPER_TREE_H

#include "keeper/front.h"
#include "keeper/node.h"
#include "object/tap.h"

struct keeper_tree {
    struct keeper_item item; /* by the compartment's address */
    struct keeper_worker *kw;
    struct space *space;                                     /* the compartment */
    enum { TREE_NEW, TREE_DEPLOYING, TREE_DEPLOYED } module; /* since the node was opened */
    bool loaded, loading;
    bool begins;             /* it is another than its sessions are of: Tree.begin is to end them */
    bool begin_out;          /* under way */
    struct keeper_view view; /* of its nodes */
    uint64_t epoch, restored /* since the node was opened */, zxid;
    struct cairn_link waiting; /* invocations, while it is not loaded or begins */
    struct cairn_link untold;  /* the same, while something that they have seen is not told (linger.h) */
    uint32_t lingering;        /* sessions that are being told of */
    struct cairn_link lists;   /* of children, that are being gathered (list.h) */
    bool saw_untold;           /* what was read since keeper_tree_look has found something of theirs */

    struct keeper_map sessions;
    struct cairn_link closing; /* sessions that are closed and still have nodes */
    uint32_t ending;           /* sessions for which Session.close is under way */
    uint64_t expired;

    struct keeper_map watch_paths, watches;
    uint32_t tables[6]; /* watches, by enum keeper_table */
    uint64_t stamp;     /* of the last event that was matched */
};

struct keeper_session {
    struct keeper_item item; /* tree->sessions, by number */
    struct keeper_tree *tree;
    uint32_t timeout_ms;
    bool closed, lingers; /* since `closed_zxid`; and nodes of it are left */
    bool ends;            /* Session.close is under way, for its time is over */
    bool linked;          /* a link has it: at that worker, of that generation */
    uint32_t worker, generation;
    uint64_t closed_zxid;
    struct keeper_linger *linger; /* it is being told of; NULL: it is not */
    uint64_t deadline_ns;         /* of the worker's own time */
    struct cairn_link due;        /* in the wheel */
    struct cairn_link closing;    /* in tree->closing */
    uint64_t decided;             /* the number of its last write that is */
    struct cairn_link parked;     /* invocations: reads that wait for that */
    uint32_t waits;               /* reads of it wait for something else: those behind them wait, too */
    struct cairn_link watches;
    uint32_t watch_count;
    uint64_t stamp; /* of the last event that it got */
};

/* As messages, at the owner. */
void keeper_tree_receive(struct cairn_worker *worker, struct message *message); /* keeper_operation's */
void keeper_tree_heard(struct cairn_worker *worker, struct message *message);   /* notes */
void keeper_tree_decided(struct cairn_worker *worker, struct message *message);
void keeper_tree_left(struct cairn_worker *worker, struct message *message);

/* NULL: nothing has come to it yet. */
struct keeper_tree *keeper_tree_find(struct keeper_worker *kw, const struct space *compartment);
struct keeper_tree *keeper_tree_get(struct keeper_worker *kw, struct space *compartment);
struct shard *keeper_tree_at(const struct keeper_tree *tree);
/* Before reads of its nodes: kw->overlay is empty, over its shard. */
void keeper_tree_look(struct keeper_tree *tree);
/* The object of a tree is another one. */
void keeper_trees_replaced(struct keeper_worker *kw, const struct object *object);
/* The object as it is now. */
struct object *keeper_tree_object(struct keeper_tree *tree);
/* It is loaded, if that can be, and is of the present lineage; false: it waits for that, or *ret_code says why not. */
bool keeper_tree_ready(struct keeper_tree *tree, enum cairn_code *ret_code, struct cairn_err *err);
/* Once what it waited for may have happened. */
void keeper_tree_retry(struct keeper_tree *tree);
/* Its object is another one, or is to be read anew. */
void keeper_tree_forget(struct keeper_tree *tree);
/* The namespace is being removed: its sessions are over, whose connections hear so, and what waits is refused. */
void keeper_tree_going(struct keeper_tree *tree);
void keeper_tree_free(struct keeper_tree *tree);

/* The invocation of an ask is over. */
void keeper_tree_answer(struct keeper_tree *tree, struct invocation *inv);
/* A client's read has been answered with what is in inv->result: its namespace pays for it. */
void keeper_tree_count_read(struct keeper_tree *tree, const struct invocation *inv);
void keeper_tree_answer_error(struct keeper_tree *tree, struct invocation *inv, int32_t error);

#endif
