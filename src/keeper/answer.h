/* answer.h - what the owner of a tree answers, on its way to the link's worker: bytes, of this process alone.
 *
 *   u8 ANSWER_MARK, struct answer_head, per slot: struct slot_head, its bytes | struct keeper_state
 *
 * A value that is an error (base/value.h) has another first byte.
 * Threads: none of its own.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_ANSWER_H
#define CAIRN_KEEPER_ANSWER_H

#include "keeper/keeper.h"

enum { ANSWER_MARK = 0x80 };

struct answer_head {
    int32_t error;
    uint32_t slots;
    uint64_t zxid, epoch; /* 0: not told */
    uint32_t has_state;
    uint32_t blobs; /* slots whose data is in the blob store */
};

enum { ANSWER_NULL, ANSWER_DATA, ANSWER_BLOB };

struct slot_head {
    int32_t error, number;
    uint32_t has_data; /* ANSWER_NULL, ...; a blob: u32 bytes, its hash */
    uint32_t path, stat, data, acl, names, name_count;
};

/* `to` is empty. */
void answer_begin(struct cairn_buf *to, int32_t error, uint64_t zxid, uint64_t epoch);
void answer_state(struct cairn_buf *to, const struct keeper_state *state);
/* The next slot, which is empty but for its error: parts are put behind it in the order of slot_head, each at most
 * once.  Returns what the others want. */
size_t answer_slot(struct cairn_buf *to, int32_t error);
void slot_path(struct cairn_buf *to, size_t slot, struct cairn_bytes path);
void slot_stat(struct cairn_buf *to, size_t slot, const uint8_t stat[KEEPER_STAT_BYTES]);
void slot_data(struct cairn_buf *to, size_t slot, struct cairn_bytes data);
void slot_blob(struct cairn_buf *to, size_t slot, const uint8_t hash[32], uint32_t bytes); /* in place of data */
void slot_acl(struct cairn_buf *to, size_t slot, struct cairn_bytes acl);
void slot_name(struct cairn_buf *to, size_t slot, struct cairn_bytes name);                   /* any number of them */
void slot_names(struct cairn_buf *to, size_t slot, uint32_t count, struct cairn_bytes names); /* the same at once */
void slot_number(struct cairn_buf *to, size_t slot, int32_t number);
/* What was put behind `size` is gone, of the last slot: it has that error instead. */
void slot_fail(struct cairn_buf *to, size_t slot, int32_t error);

/* Borrows from `value`; the slots are to be freed if they are not `one`. */
struct answer {
    struct answer_head head;
    struct keeper_state state;
    struct keeper_slot one, *slots;
};
/* False: it is an error of the node's. */
bool answer_read(struct cairn_bytes value, struct answer *ret_answer);
void answer_done(struct answer *answer);

#endif
