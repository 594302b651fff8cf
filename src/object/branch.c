#include "object/branch.h"

#include <stdlib.h>

#include "object/invocation.h"
#include "object/lock.h"
#include "object/participants.h"
#include "object/tap.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"
#include "shard/joint.h"

/* Of larger transactions the worker does not keep the memory. */
enum { KEPT_SEGMENTS_MAX = 64 };

/* --- the object as the transaction sees it --- */

static bool view_get(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct overlay *overlay = &cairn_container(view, struct branch, view)->segment->overlay;

    if (overlay_get_hashed(overlay, key, hash, ret_value))
        return true;
    if (overlay->code != CAIRN_OK) {
        view->failed = true;
        view->failure = overlay->err;
        overlay->code = CAIRN_OK; /* it is the reader's */
    }
    return false;
}

static void view_prefetch(struct cairn_view *view, uint64_t hash, int depth)
{
    struct cairn_view *engine = cairn_container(view, struct branch, view)->segment->overlay.engine;

    engine->ops->prefetch(engine, hash, depth);
}

static const struct cairn_view_ops view_ops = {.get = view_get, .prefetch = view_prefetch};

/* What it has written counts as what requests make the node keep, to its end. */
static void charge(struct cairn_worker *worker, struct branch *branch)
{
    size_t bytes = sizeof *branch;

    if (branch->segment)
        bytes += sizeof *branch->segment + branch->segment->overlay.arena.bytes + branch->segment->sends.capacity;
    cairn_purse_add(&worker->purse, (int64_t)bytes - (int64_t)branch->charged);
    branch->charged = bytes;
}

struct branch *branch_make(struct cairn_worker *worker, struct party *party, struct object *object)
{
    struct branch *branch = cairn_alloc_zeroed(1, sizeof *branch);

    if (cairn_list_empty(&party->branches)) {
        cairn_list_push_back(&worker->parties, &party->live);
        transaction_ref(party->transaction);
    }
    branch->party = party;
    branch->object = object;
    branch->view.ops = &view_ops;
    object_ref(worker, object);
    cairn_list_push_back(&party->branches, &branch->link);
    cairn_list_init(&branch->held);
    charge(worker, branch);
    return branch;
}

void branch_free(struct cairn_worker *worker, struct branch *branch)
{
    struct party *party = branch->party;

    cairn_purse_add(&worker->purse, -(int64_t)branch->charged);
    if (branch->segment && atomic_load_explicit(&party->transaction->locked, memory_order_relaxed) > KEPT_SEGMENTS_MAX)
        segment_free(worker, branch->segment);
    else
        segment_end(worker, branch->segment);
    if (branch->type)
        type_unref(branch->type);
    cairn_list_remove(&branch->link);
    cairn_list_remove(&branch->held);
    object_unref(worker, branch->object);
    free(branch);
    if (cairn_list_empty(&party->branches)) {
        cairn_list_remove(&party->live);
        transaction_unref(party->transaction);
    }
}

/* --- a segment becomes part of it --- */

static void take_header(struct segment *to, const struct segment *from)
{
    to->header = from->header;
    to->header_dirty = true;
    to->header.room = to->header.count;
    if (to->header.count == 0)
        return;
    to->header.containers = cairn_arena_alloc(&to->overlay.arena, to->header.count * sizeof *to->header.containers);
    memcpy(to->header.containers, from->header.containers, from->header.count * sizeof *from->header.containers);
}

static void take_writes(struct overlay *to, const struct overlay *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        if (from->writes[i].deleted)
            overlay_remove(to, from->writes[i].key);
        else
            overlay_put(to, from->writes[i].key, from->writes[i].value);
}

/* Before the segment's writes become the transaction's: they are within its bounds, whatever they replace. */
static enum cairn_code check_bytes(const struct invocation *inv, const struct branch *branch, struct cairn_err *err)
{
    const struct cairn_limits *limits = &inv->worker->node->limits;
    const struct overlay *more = &inv->segment->overlay, *own = branch->segment ? &branch->segment->overlay : NULL;
    int64_t bytes = atomic_load_explicit(&inv->transaction->bytes, memory_order_relaxed);

    bytes += (int64_t)(more->bytes + inv->segment->sends.size);
    if (bytes > (int64_t)inv->transaction->limits.most[CAIRN_LIMIT_TRANSACTION]) {
        cairn_fail(err, CAIRN_ELIMIT, "the transaction writes %llu bytes", (unsigned long long)bytes);
        method_limit_tell_of(&inv->transaction->limits, inv->transaction->root, CAIRN_LIMIT_TRANSACTION, err);
        return CAIRN_ELIMIT;
    }
    /* What was replaced by something longer keeps its memory to the end. */
    if (own && own->arena.bytes + more->bytes > 4 * (uint64_t)limits->write_set_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the transaction writes to one object too often: more than %llu bytes",
                          4ull * limits->write_set_bytes);
    return CAIRN_OK;
}

static size_t bytes_of(const struct segment *segment)
{
    return segment ? segment->overlay.bytes + segment->sends.size : 0;
}

static void count_bytes(struct branch *branch, size_t before)
{
    atomic_fetch_add_explicit(&branch->party->transaction->bytes, (int64_t)bytes_of(branch->segment) - (int64_t)before,
                              memory_order_relaxed);
}

enum cairn_code branch_take(struct invocation *inv, struct cairn_err *err)
{
    struct branch *branch = inv->branch;
    struct segment *segment = inv->segment, *own = branch->segment;
    size_t before = bytes_of(own);
    enum cairn_code code;

    dependency_join(&inv->depends, branch->object->last);
    if (segment->overlay.code != CAIRN_OK) {
        *err = segment->overlay.err;
        return segment->overlay.code;
    }
    if (!segment->overlay.count && !segment->header_dirty && !segment->deleted && !segment->sends.size)
        return CAIRN_OK;
    code = check_bytes(inv, branch, err);
    if (code != CAIRN_OK)
        return code;
    branch->party->dirty = true;
    if (!branch->type)
        branch->type = type_ref(inv->type);
    if (!own) { /* it is over the engine, as the branch's own has to be */
        branch->segment = segment;
        count_bytes(branch, 0);
        charge(inv->worker, branch);
        return CAIRN_OK;
    }
    if (segment->header_dirty && own->header.incarnation && segment->header.incarnation != own->header.incarnation)
        overlay_reset(&own->overlay, own->overlay.engine); /* deleted: all that was written were its fields */
    own->deleted |= segment->deleted;
    if (segment->header_dirty)
        take_header(own, segment);
    take_writes(&own->overlay, &segment->overlay);
    cairn_buf_add(&own->sends, segment->sends.data, segment->sends.size);
    own->send_count += segment->send_count;
    own->timers_changed += segment->timers_changed;
    own->timers_set += segment->timers_set;
    count_bytes(branch, before);
    charge(inv->worker, branch);
    return CAIRN_OK;
}

/* --- all of a party --- */

static struct party_shard *shard_at(struct party *party, struct shard *shard)
{
    for (uint32_t i = 0; i < party->shard_count; i++)
        if (party->shards[i].shard == shard)
            return &party->shards[i];
    return NULL;
}

static void add_shard(struct party *party, struct shard *shard)
{
    if (shard_at(party, shard))
        return;
    party->shards = cairn_realloc(party->shards, (party->shard_count + 1) * sizeof *party->shards);
    party->shards[party->shard_count++] = (struct party_shard){.shard = shard};
}

static bool is_root(const struct branch *branch)
{
    const struct invocation *root = branch->party->transaction->root;

    return branch->party->worker == branch->party->transaction->home && root->branch == branch;
}

/* Whether something of it is to be committed. */
static bool is_dirty(const struct branch *branch)
{
    const struct invocation *root = branch->party->transaction->root;

    return branch->segment || (is_root(branch) && root->own && !root->refused); /* its key, its message */
}

/* Readers that come wait, and those that are at it are waited for. */
static bool objects_are_free(struct party *party)
{
    bool free = true;

    for (struct cairn_link *l = party->branches.next; l != &party->branches; l = l->next) {
        struct branch *branch = cairn_container(l, struct branch, link);

        if (is_dirty(branch))
            add_shard(party, branch->object->shard);
        if (!branch->segment)
            continue;
        branch->object->lock->commits = true;
        if (branch->object->holder || branch->object->readers)
            free = false;
    }
    return free;
}

static void leave_shards(struct party *party)
{
    for (uint32_t i = 0; i < party->shard_count; i++) {
        struct party_shard *at = &party->shards[i];

        if (at->entered)
            cairn_joint_leave(at->shard->shard);
        if (at->froze)
            at->shard->frozen = false;
        *at = (struct party_shard){.shard = at->shard};
    }
}

static bool enter_shards(struct party *party)
{
    bool entered = true;

    for (uint32_t i = 0; i < party->shard_count; i++)
        if (party->shards[i].shard->frozen)
            return false;
    for (uint32_t i = 0; entered && i < party->shard_count; i++)
        entered = party->shards[i].entered = cairn_joint_enter(party->shards[i].shard->shard);
    if (!entered)
        leave_shards(party);
    return entered;
}

/* Whom the participants are asked for. */
static struct invocation *stand_in(struct cairn_worker *worker, struct branch *branch)
{
    const struct transaction *transaction = branch->party->transaction;
    struct invocation *inv = transaction->root;

    if (!branch->segment)
        branch->segment =
            segment_begin_on(worker, branch->object, branch->object->shard->engine, &branch->object->header);
    if (!is_root(branch)) {
        inv = invocation_new(worker, transaction->root->operation);
        inv->worker = worker;
        inv->object = branch->object;
        inv->type = branch->type;
        inv->number = ++worker->invocation_count;
        inv->id = object_id(branch->object);
        inv->space = branch->type->space;
        inv->type_name = branch->type->name;
    }
    inv->segment = branch->segment;
    return inv;
}

static void stand_out(struct cairn_worker *worker, struct branch *branch)
{
    struct invocation *inv = branch->stands;

    branch->stands = NULL;
    inv->segment = NULL;
    if (!is_root(branch))
        invocation_free(worker, inv);
}

static enum cairn_code prepare(struct cairn_worker *worker, struct branch *branch, struct cairn_err *err)
{
    struct party_shard *at = shard_at(branch->party, branch->object->shard);
    struct segment *segment;
    struct object *object = branch->object;
    enum cairn_code code;

    branch->stands = stand_in(worker, branch);
    segment = branch->segment;
    if (!at->overlay)
        at->overlay = &segment->overlay;
    else
        take_writes(at->overlay, &segment->overlay);
    branch->commit = (struct commit){
        .inv = branch->stands,
        .overlay = at->overlay,
        .over = is_root(branch),
        .existed = object->header.incarnation != 0,
        .incarnation = object->header.incarnation,
        .exists = segment->header_dirty ? segment->header.incarnation != 0 : object->header.incarnation != 0,
        .before = object->shard->meta,
    };
    code = participants_prepare(participants, participant_count, &branch->commit, err);
    /* What they change beside the header is not the object's alone: others must not, until this is applied. */
    if (code == CAIRN_OK && at->overlay->count > branch->commit.own_writes + segment->header_dirty)
        at->froze = at->shard->frozen = true;
    return code;
}

static void encode(struct party *party)
{
    uint8_t bytes[COMMIT_NOTE_BYTES_MAX];

    for (uint32_t i = 0; i < party->shard_count; i++) {
        struct party_shard *at = &party->shards[i];
        const struct invocation *inv = NULL;

        for (struct cairn_link *l = party->branches.next; !inv; l = l->next) {
            const struct branch *branch = cairn_container(l, struct branch, link);
            inv = branch->object->shard == at->shard ? branch->stands : NULL;
        }
        cairn_joint_encode(at->shard->shard, cairn_bytes(bytes, commit_note(inv, bytes)), at->overlay->writes,
                           at->overlay->count, &party->encoded);
    }
}

/* Those that are prepared, the last first. */
static void undo(struct cairn_worker *worker, struct party *party)
{
    for (struct cairn_link *l = party->branches.prev; l != &party->branches; l = l->prev) {
        struct branch *branch = cairn_container(l, struct branch, link);

        if (!branch->stands)
            continue;
        participants_undo(participants, participant_count, &branch->commit);
        stand_out(worker, branch);
    }
    leave_shards(party);
}

bool branches_prepare(struct cairn_worker *worker, struct party *party, enum cairn_code *ret_code,
                      struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (!objects_are_free(party) || !enter_shards(party))
        return false;
    for (struct cairn_link *l = party->branches.next; code == CAIRN_OK && l != &party->branches; l = l->next) {
        struct branch *branch = cairn_container(l, struct branch, link);

        if (!is_dirty(branch))
            continue;
        code = prepare(worker, branch, err);
        if (code != CAIRN_OK) /* it has undone its own */
            stand_out(worker, branch);
    }
    *ret_code = code;
    if (code != CAIRN_OK) {
        undo(worker, party);
        return true;
    }
    encode(party);
    party->prepared = true;
    return true;
}

void branches_unprepare(struct cairn_worker *worker, struct party *party)
{
    undo(worker, party);
    party->prepared = false;
}

static void committed(struct cairn_worker *worker, struct branch *branch)
{
    branch->commit.record = branch->party->transaction->record;
    branch->object->last = branch->commit.record;
    participants_committed(participants, participant_count, &branch->commit);
    if (branch->stands->type->tap)
        tap_committed(&branch->commit);
    stand_out(worker, branch);
}

void branches_apply(struct cairn_worker *worker, struct party *party)
{
    const struct transaction *transaction = party->transaction;

    for (uint32_t i = 0; i < party->shard_count; i++) {
        struct party_shard *at = &party->shards[i];

        cairn_joint_apply(at->shard->shard, transaction->wall_ms, at->overlay->writes, at->overlay->count,
                          transaction->record.end);
        at->entered = false;
    }
    for (struct cairn_link *l = party->branches.next; l != &party->branches; l = l->next)
        if (cairn_container(l, struct branch, link)->stands)
            committed(worker, cairn_container(l, struct branch, link));
    leave_shards(party);
    party->prepared = false;
}
