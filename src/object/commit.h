/* commit.h - the end of a segment: one record, to which participants add.
 *
 * A participant keeps something that changes together with the method's own writes: the object's header, the
 * directory, an idempotency key, what is left of a deleted object.  A commit walks the list of them:
 *
 *   prepare, in order --> room in the log --> append and apply --> committed, in order
 *        |                     |
 *        +------- undo, in reverse order: the overlay is as it was before
 *
 * prepare may only add keys that the overlay does not have yet, apart from keys of participants before it, and may
 * change state outside of the overlay only where undo restores it.
 * Most segments concern few participants, and the walk passes over those that have nothing to say to one.
 * Room is claimed when the record's size is known, so that nothing is claimed while a method runs.  A commit that is
 * refused with CAIRN_EOVERLOAD has left nothing but the segment's own writes, and is run again once there is room.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_COMMIT_H
#define CAIRN_OBJECT_COMMIT_H

#include "object/invocation.h"
#include "object/segment.h"
#include "object/shard.h"
#include "object/space.h"

struct commit {
    struct invocation *inv;
    struct overlay *overlay;
    bool over;                /* the invocation ends with this segment */
    bool existed, exists;     /* the object, before and after */
    uint64_t incarnation;     /* before; 0: it did not exist */
    uint32_t own_writes;      /* of the overlay: the method's; participants' follow */
    struct shard_meta before; /* the shard's numbers, for undo */
    bool once_recorded;       /* before, for undo */
    struct space_kept kept;   /* counted for the namespace, for undo */
    uint32_t spares;          /* concerns that it has nothing of; 0: all participants are asked */
    uint64_t keep_bytes;      /* claimed together with the record, in one record more, and kept: see once.c */
    struct dependency record; /* on the record; set before `committed` */
};

/* What a participant is there for. */
enum commit_concern {
    CONCERNS_OBJECT = 1,   /* its header, and whether it exists */
    CONCERNS_KEPT = 2,     /* what the namespace keeps is counted */
    CONCERNS_DURABLE = 4,  /* a durable invocation */
    CONCERNS_KEY = 8,      /* an idempotency key */
    CONCERNS_LETTERS = 16, /* messages and timers */
    CONCERNS_ALL = 31,
};

struct participant {
    uint32_t concern; /* one of these */
    enum cairn_code (*prepare)(struct commit *commit, struct cairn_err *err);
    void (*committed)(struct commit *commit); /* may be NULL */
    void (*undo)(struct commit *commit);      /* of what prepare did outside of the overlay; may be NULL */
};

/* Prepares all, or none: when one fails, or a read of the overlay has, it and those before it are undone. */
enum cairn_code participants_prepare(const struct participant *const *list, size_t count, struct commit *commit,
                                     struct cairn_err *err);
void participants_undo(const struct participant *const *list, size_t count, struct commit *commit);
void participants_committed(const struct participant *const *list, size_t count, struct commit *commit);

enum { COMMIT_NOTE_BYTES_MAX = CAIRN_ID_BYTES_MAX + 4 * CAIRN_VARINT_BYTES_MAX };
/* The note of a record of the invocation (docs/formats/state.md); its bytes. */
size_t commit_note(const struct invocation *inv, uint8_t to[COMMIT_NOTE_BYTES_MAX]);

extern const struct participant directory_participant; /* commit.c */
extern const struct participant header_participant;    /* header.c */
extern const struct participant kept_participant;      /* kept.c; the last */
extern const struct participant durable_participant;   /* durable_commit.c; before once's, which takes its number */
extern const struct participant once_participant;      /* once.c */
extern const struct participant purge_participant;     /* purge.c */

/* All that the invocation's segment has done, and what the participants of the list add, in one record; applies it,
 * sets inv->depends and object->last.  `over`: the invocation ends with it.  Nothing to write: CAIRN_OK.
 * CAIRN_EOVERLOAD: to be called again once there is room. */
enum cairn_code segment_commit(struct invocation *inv, bool over, const struct participant *const *list, size_t count,
                               uint32_t spares, struct cairn_err *err);

#endif
