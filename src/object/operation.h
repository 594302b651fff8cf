/* operation.h - what can be asked of a node, and what it does when nothing is asked: two tables.
 *
 * An operation is an entry {how its requests arrive, run, answer}.  The core has the call of a method
 * (operation_invoke) and those of multi.h; the others, and the housekeepers that go with them, are handed to it by
 * what stands above it (the room admin), as the node is opened.  The core calls up through these tables alone.
 *
 *   submit -> (receive, at the object's owner or where `submit` sent it) -> [run] -> leave -> answer -> [told]
 *
 * Threads: as said at each.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_OPERATION_H
#define CAIRN_OBJECT_OPERATION_H

#include "object/message.h"
#include "object/object.h"

struct invocation;
struct tapped_type;
struct type_entry;

struct operation {
    const char *name;
    /* What a request names; each is checked before anything is done with it. */
    enum aim { AIM_NODE, AIM_TYPE, AIM_OBJECT, AIM_METHOD } aim;
    bool reads; /* of AIM_OBJECT: it writes nothing, and may run while others do */
    bool heavy; /* it stands behind others, in the line READY_HEAVY */
    /* More that a request must have; NULL: nothing. */
    enum cairn_code (*check)(const struct cairn_request *request, struct cairn_err *err);
    /* On the worker that it was submitted to, once it has been checked. */
    void (*submit)(struct cairn_worker *worker, struct invocation *inv);
    /* As a message, at the worker that it was sent to. */
    void (*receive)(struct cairn_worker *worker, struct message *message);
    bool is_transaction; /* each is a transaction's root */
    /* It has come to its object, and is durable, or a durable invocation's call, or a transaction. */
    void (*enter)(struct invocation *inv);
    /* A segment at its object: the only one, unless it has made calls (call.h), and another follows when those of
     * inv->awaiting are back.  NULL: it has none, or a guest runs it. */
    void (*run)(struct invocation *inv);
    /* inv->own is not NULL, and it is over where it ran; or it is dropped where it is.  Gives inv->own up. */
    void (*leave)(struct cairn_worker *worker, struct invocation *inv);
    void (*drop)(struct invocation *inv);
    /* Its outcome is back at the worker that it came from. */
    void (*answer)(struct cairn_worker *worker, struct message *message);
    /* As its reply leaves, or without a request instead of one (hold.h); NULL: nothing else is told of it. */
    void (*told)(struct cairn_worker *worker, const struct invocation *inv);
};

extern const struct operation operation_invoke; /* invoke.c */

/* As operation->submit: to the object's owner. */
void submit_to_object(struct cairn_worker *worker, struct invocation *inv);
/* To worker 0, which has the system shard. */
void submit_to_first(struct cairn_worker *worker, struct invocation *inv);

/* Work without a request, of every worker. */
struct housekeeper {
    const char *name;
    /* Once a turn.  True: more could be done right now. */
    bool (*step)(struct cairn_worker *worker);
    /* Until `step` is to be called even if nothing else happens; UINT64_MAX: it need not be. */
    uint64_t (*next_ns)(struct cairn_worker *worker);
};

/* A room that stands above the core.  There may be several: each operation is of one of them, and no request may ask
 * for one that none has. */
struct node_hooks {
    const struct operation *const *operations;     /* by enum cairn_op; NULL: it is another's */
    const struct housekeeper *const *housekeepers; /* their steps follow the core's */
    uint32_t housekeeper_count;
    const struct tapped_type *taps; /* tap.h */
    uint32_t tap_count;
    /* The node is open but for its store, which is not started: its workers get their types. */
    enum cairn_code (*open)(struct cairn_node *node, void *context, struct cairn_err *err);
    /* The type as that version of its module declares it, with one reference; blocks.  While the node is opened.  One
     * of the rooms has it, the others NULL. */
    enum cairn_code (*type_version)(struct cairn_node *node, const struct space *space, struct cairn_bytes type,
                                    const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t version,
                                    struct type_entry **ret_entry, struct cairn_err *err);
    /* The namespace is being removed, and the worker has lost its types; what it knows of it goes.  NULL: nothing. */
    void (*space_going)(struct cairn_worker *worker, struct space *space);
    /* Worker threads have stopped and nothing is in flight any more.  open may have failed, or not been called.  Those
     * that were opened later are closed first. */
    void (*close)(struct cairn_node *node);
    void *context; /* of open; not used after it */
};

#endif
