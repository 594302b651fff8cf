/* branch.h - what a transaction has done to one object, and is in no log yet.
 *
 * A segment of a transaction's invocation is as any other, over the branch in place of the engine: it sees what was
 * committed and what earlier segments of the transaction have left, and when it ends its writes become the branch's.
 * When the transaction ends, the participants of a commit (commit.h) add to the branches, shard by shard.
 * Threads: the object's worker.  Layer: object (private). */
#ifndef CAIRN_OBJECT_BRANCH_H
#define CAIRN_OBJECT_BRANCH_H

#include "object/commit.h"
#include "object/message.h"
#include "object/table.h"

struct transaction;
struct type;

/* A shard in which a party has written. */
struct party_shard {
    struct shard *shard;
    struct overlay *overlay; /* all of its branches there: the first one's */
    bool entered;            /* joint.h */
    bool froze;              /* shard->frozen is this one's doing */
};

/* What a transaction has on one worker. */
struct party {
    struct transaction *transaction;
    uint32_t worker;
    struct message message;     /* prepare; apply or roll back */
    struct message doom;        /* tells of it */
    struct cairn_link live;     /* in worker->parties while it has branches */
    struct cairn_link waits;    /* in worker->prepares until it can be prepared, or at home decided */
    struct cairn_link branches; /* struct branch, link */
    bool dirty;                 /* something is to be committed */
    bool prepared, deciding;
    struct party_shard *shards;
    uint32_t shard_count;
    struct cairn_buf encoded; /* its parts of the record */
};

struct branch {
    struct cairn_link link; /* in party->branches */
    struct cairn_link held; /* in object->lock->branches */
    struct party *party;
    struct object *object;
    bool exclusive;
    struct segment *segment; /* NULL: nothing was written */
    struct cairn_view view;  /* the object with it */
    struct type *type;       /* of the first writer */
    size_t charged;          /* its memory, to the worker's purse */
    /* While it is prepared: what participants take for the invocation, the root or one made for it. */
    struct invocation *stands;
    struct commit commit;
};

struct branch *branch_make(struct cairn_worker *worker, struct party *party, struct object *object);
/* With all that was written. */
void branch_free(struct cairn_worker *worker, struct branch *branch);

/* What its invocations' segments are over. */
static inline struct cairn_view *branch_view(struct branch *branch)
{
    return branch->segment ? &branch->view : branch->object->shard->engine;
}
static inline const struct header *branch_header(const struct branch *branch)
{
    return branch->segment ? &branch->segment->header : &branch->object->header;
}
/* In place of segment_commit: the invocation's segment becomes part of its branch.  What it did is left in it on
 * failure. */
enum cairn_code branch_take(struct invocation *inv, struct cairn_err *err);

/* --- a party's branches --- */

/* False: an object is in use by readers, or a shard by others: to be asked again.  From the first time on readers that
 * come wait.  *ret_code tells whether it went well; if not nothing is prepared. */
bool branches_prepare(struct cairn_worker *worker, struct party *party, enum cairn_code *ret_code,
                      struct cairn_err *err);
void branches_unprepare(struct cairn_worker *worker, struct party *party);
/* Of a prepared party whose transaction is decided. */
void branches_apply(struct cairn_worker *worker, struct party *party);

#endif
