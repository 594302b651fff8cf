/* posted.h - a message between objects, as it is kept ("Messages" in docs/promises.md, docs/formats/state.md).
 *
 *   u8 state | u8 flags | varint number + 1 | varint sent ms | varint due ms | varint attempts | sized namespace
 *   | sized type | sized id | sized method | sized sender's type | sized sender's id | sized error code
 *   | sized error text | sized firing | with POSTED_JOB: job and span (traceparent.h)
 *   | packed arguments
 *
 * Threads: any.  Layer: object, seen by admin and transfer. */
#ifndef CAIRN_OBJECT_POSTED_H
#define CAIRN_OBJECT_POSTED_H

#include "base/traceparent.h"
#include "fn/fn.h"

enum posted_state {
    POSTED_NEW = 0,
    POSTED_BEGUN = 1, /* a segment of it has been committed, and it is not over */
    POSTED_DEAD = 2,
};

enum {
    POSTED_INTERNAL = 1, /* may call internal methods: an object of the same module sent it */
    POSTED_SOME = 2,     /* dead: what it has done in part stays */
    POSTED_SPOILED = 4,  /* dead: what is kept of it cannot be read, and is its arguments; it has no names */
    POSTED_SETTLE = 8,   /* it settles the promise of which it has the id, with its arguments: an encoded value */
    POSTED_JOB = 64,     /* set by posted_encode, if there is a job */
};

struct posted {
    uint8_t state, flags;
    uint64_t number;          /* by which it is known, plus 1; 0: its key's */
    uint64_t sent_ms, due_ms; /* due 0: when it was sent; dead: when it was given up */
    uint64_t attempts;        /* that have failed */
    struct cairn_bytes space, type, id, method;
    struct cairn_bytes from_type, from_id; /* empty: a client sent it */
    struct cairn_bytes code, text;         /* the last attempt's error; empty: none has failed */
    struct cairn_bytes timer;              /* the firing of a timer that it is (timers.h); empty: none */
    struct cairn_traceparent parent;       /* of the sender; its span is 0 unless the job is traced */
    struct cairn_bytes args;
};

void posted_encode(const struct posted *posted, struct cairn_buf *to);
/* Borrowed from `bytes`; false: not well-formed. */
bool posted_decode(struct cairn_bytes bytes, struct posted *ret_posted);

/* Whom it is for, as one byte string: sized namespace | sized type | id.  All of a type's lie next to each other. */
enum { POSTED_NAME_BYTES_MAX = 2 * (CAIRN_VARINT_BYTES_MAX + CAIRN_NAME_BYTES_MAX) + CAIRN_ID_BYTES_MAX };
struct cairn_bytes posted_name(const struct posted *posted, uint8_t to[POSTED_NAME_BYTES_MAX]);

#endif
