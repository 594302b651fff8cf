/* once.h - idempotency keys ("Once" in docs/promises.md).
 *
 * A key's state is a point key of the shard (layout.h, 04 and 05): written as `running` before
 * the invocation's first call leaves, as its outcome at the end.  While it runs the invocation
 * is in object->keyed, where duplicates find it and wait.
 * With the state `running` the log's room for an outcome of ONCE_CLAIM_BYTES is claimed, which is enough for any
 * error: that something was done is recorded even if the disk is full by then.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_ONCE_H
#define CAIRN_OBJECT_ONCE_H

#include "object/called.h"
#include "object/invocation.h"
#include "object/shard.h"

enum {
    ONCE_CLAIM_BYTES = 8 << 10,
    ONCE_KEY_ROOM =
        1 + 3 * CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX + CAIRN_NAME_BYTES_MAX + CAIRN_ONCE_KEY_BYTES_MAX,
};

/* Of an invocation that has a key. */
struct once {
    struct invocation *inv;
    struct cairn_bytes key;
    struct cairn_link keyed;      /* in object->keyed while it is under way */
    struct cairn_link duplicates; /* invocations with its key, which wait for its outcome */
    uint64_t args_hash;
    uint64_t number; /* of its 05 key, once it is recorded */
    bool recorded;
    uint64_t room; /* bytes of the log that are claimed for its outcome */
    struct called
        called; /* number 0: the key is a client's; else it is implicit (called.h), and this is its state's key: */
    uint8_t called_key[CALLED_KEY_BYTES];
};

/* NULL: it has no key. */
static inline struct once *once_of(const struct invocation *inv)
{
    return inv->keyed ? inv->own : NULL;
}

/* The client's key, also of a read, for which nothing is kept; data NULL: there is none. */
struct cairn_bytes once_client_key(const struct invocation *inv);
/* It gets the key, which its request has. */
void once_make(struct invocation *inv, struct cairn_bytes key);
/* It gets the implicit key of the durable invocation's call that it is. */
void once_make_called(struct invocation *inv);
/* It is recovered, and had got its key before: it is as if it were under way.  CAIRN_ECORRUPT: the key tells
 * otherwise. */
enum cairn_code once_again(struct invocation *inv, struct cairn_err *err);
/* As operation->leave and operation->drop. */
void once_leave(struct cairn_worker *worker, struct invocation *inv);
void once_drop(struct invocation *inv);

enum once_answer {
    ONCE_RUN,      /* new: run it */
    ONCE_WAIT,     /* it was attached to the one that runs */
    ONCE_ANSWERED, /* inv->result is the first outcome, or the error `key_reused` */
};

/* It has not begun yet. */
bool once_is_new(const struct invocation *inv);
enum once_answer once_begin(struct cairn_worker *worker, struct invocation *inv);
/* The invocation was refused and nothing of it was committed: its key counts as never used. */
bool once_unused(const struct invocation *inv);
bool once_recorded(const struct invocation *inv);
/* The outcome is recorded (or can never be): duplicates get it. */
void once_over(struct cairn_worker *worker, struct invocation *inv);
/* The point key of a client's key; its bytes. */
size_t once_key_of(uint8_t to[ONCE_KEY_ROOM], uint32_t type, struct cairn_bytes id, struct cairn_bytes method,
                   struct cairn_bytes key);
/* Within a record that ends the durable invocation that has that point key: its outcome is this error. */
void once_end_durable(struct overlay *overlay, struct cairn_bytes key, enum cairn_code code, const char *text);
/* What a durable invocation has called. */
enum once_called_state {
    ONCE_CALLED_OVER, /* or nothing is known of it */
    ONCE_CALLED_RUNS, /* or that cannot be read now */
    ONCE_CALLED_DURABLE,
};
enum once_called_state once_called_state(struct shard *shard, struct cairn_bytes key, uint64_t *ret_number);
/* At opening: what was running when the node stopped has the outcome `interrupted`. */
enum cairn_code once_recover(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err);

#endif
