/* due.h - what a shard has to do at a time: a tree (tree.h) of {due time, what}, in the order of the times, the agenda.
 *
 *   be48 due ms | u8 kind | ...     'm': be64 number of a 09 key (messages.h)
 *                                   't': be64 incarnation, name (timers.h)
 *
 * What has something to do later adds an entry within a record of the shard's, under a kind of its own, and brings a
 * handler for that kind (due_handlers, messages_house.c).  When its time has come, the housekeeper of messages takes
 * the entry out and has the handler add to the same record what follows from it: so that happens once.
 * Threads: the shard's owner.  Layer: object, seen by transfer. */
#ifndef CAIRN_OBJECT_DUE_H
#define CAIRN_OBJECT_DUE_H

#include "object/shard.h"
#include "object/tree.h"

enum { DUE_MS_BYTES = 6, DUE_OWN_BYTES_MAX = 8 + 64 };

enum due_kind { DUE_MESSAGE = 'm', DUE_TIMER = 't' };

struct due {
    uint64_t due_ms, now_ms;
    struct cairn_bytes own; /* what comes behind the kind */
};

enum due_answer {
    DUE_TAKEN, /* the entry goes */
    DUE_SKIP,  /* it stays for now, and those behind it are looked at */
    DUE_STOP,  /* it stays for now, and so do those behind it */
};

struct due_handler {
    enum due_kind kind;
    enum due_answer (*take)(struct shard *shard, struct overlay *overlay, const struct due *due);
};

/* Later than this is as late as can be. */
static inline uint64_t due_ms_most(uint64_t due_ms)
{
    uint64_t most = ((uint64_t)1 << (8 * DUE_MS_BYTES)) - 1;

    return due_ms < most ? due_ms : most;
}

/* Within a record of the shard's.  `own` has at most DUE_OWN_BYTES_MAX bytes; an entry that is there already, or is
 * not, is no mistake. */
void due_add(struct shard *shard, struct overlay *overlay, uint64_t due_ms, enum due_kind kind, struct cairn_bytes own);
void due_remove(struct overlay *overlay, uint64_t due_ms, enum due_kind kind, struct cairn_bytes own);

enum { DUE_KEY_BYTES_MAX = DUE_MS_BYTES + 1 + DUE_OWN_BYTES_MAX };
/* The first entry behind that one; kind is the byte behind the time.  False: there is none. */
bool due_after(struct overlay *overlay, struct cairn_bytes entry, uint8_t to[DUE_KEY_BYTES_MAX],
               struct cairn_bytes *ret_entry);

/* When the first is due; UINT64_MAX: there is none.  shard->due_ms is this, or earlier. */
uint64_t due_first_ms(struct overlay *overlay);

/* Looks at what is due, in its order, at most `most` entries; sets shard->due_ms.  *ret_more: there may be more that
 * can be taken right now; false also when a handler wants to be asked again later. */
void due_take(struct shard *shard, struct overlay *overlay, uint64_t now_ms, uint32_t most,
              const struct due_handler *const *handlers, size_t count, bool *ret_more);

#endif
