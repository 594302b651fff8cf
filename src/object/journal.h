/* journal.h - the bytes of a durable invocation's journal (docs/formats/journal.md).
 *
 * A journal has an entry for each host call whose result could differ when the method is run again, or that changes
 * something: which host call, a hash of its arguments, its result.  Between them stand the outcomes of calls, where
 * they came in.  It is written at the end of a segment, in that segment's record, and read from its start.
 * Threads: any.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_JOURNAL_H
#define CAIRN_OBJECT_JOURNAL_H

#include "base/bytes.h"

/* On disk: numbers are never used for another. */
enum journal_op {
    JOURNAL_OUTCOME = 0,
    JOURNAL_VALUE_GET = 1,
    JOURNAL_VALUE_SET = 2,
    JOURNAL_VALUE_CLEAR = 3,
    JOURNAL_LIST_COUNT = 4,
    JOURNAL_LIST_PUSH = 5,
    JOURNAL_LIST_SET = 6,
    JOURNAL_LIST_GET = 7,
    JOURNAL_LIST_DROP = 8,
    JOURNAL_MAP_COUNT = 9,
    JOURNAL_MAP_GET = 10,
    JOURNAL_MAP_SET = 11,
    JOURNAL_MAP_REMOVE = 12,
    JOURNAL_MAP_AT = 13,
    JOURNAL_DELETE_SELF = 14,
    JOURNAL_CALL = 15,
    JOURNAL_READY = 16,
    JOURNAL_NOW = 17,
    JOURNAL_RANDOM = 18,
    JOURNAL_ORDERED_COUNT = 19,
    JOURNAL_ORDERED_GET = 20,
    JOURNAL_ORDERED_SET = 21,
    JOURNAL_ORDERED_REMOVE = 22,
    JOURNAL_ORDERED_RANK = 23,
    JOURNAL_ORDERED_READ = 24,
    JOURNAL_ORDERED_READ_AT = 25,
    JOURNAL_SEND = 26,
    JOURNAL_SLEEP = 27,
    JOURNAL_PROMISE = 28,
    JOURNAL_TIMER_SET = 29,
    JOURNAL_TIMER_CANCEL = 30,
    JOURNAL_CANCELLED = 31, /* a wait that told it to end; the call that was waited for stands for the arguments */
    JOURNAL_PROMISE_SETTLE = 32,
    JOURNAL_OP_COUNT
};

#define JOURNAL_NO_SHARD UINT32_MAX

struct journal_entry {
    enum journal_op op;
    uint32_t args;             /* a host call: the hash of its arguments */
    uint32_t call, shard;      /* an outcome: of which call, and where the called object lies; NO_SHARD: it was none */
    struct cairn_bytes result; /* borrowed; an outcome: the encoded value */
};

/* The place for `size` bytes of result, to be filled in before anything else is added. */
uint8_t *journal_add(struct cairn_buf *to, enum journal_op op, uint32_t args, size_t size);
void journal_add_outcome(struct cairn_buf *to, uint32_t call, uint32_t shard, struct cairn_bytes value);
/* False: these bytes are no entry. */
bool journal_read(struct cairn_reader *r, struct journal_entry *ret_entry);
/* It takes a number of a call, the next. */
static inline bool journal_is_call(enum journal_op op)
{
    return op == JOURNAL_CALL || op == JOURNAL_SLEEP || op == JOURNAL_PROMISE;
}
/* As the guest calls it. */
const char *journal_op_name(enum journal_op op);

#endif
