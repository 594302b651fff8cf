#include "object/transaction.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/clock.h"
#include "object/invocation.h"
#include "object/lock.h"
#include "object/mailbox.h"
#include "object/operation.h"
#include "object/type.h"
#include "object/worker.h"
#include "shard/joint.h"

enum { RETRY_NS = 500000 }; /* as room.c's: the log makes room and says nothing */

/* --- making and freeing --- */

static void receive_doom(struct cairn_worker *worker, struct message *message);

static void drop_doom(struct cairn_worker *worker, struct message *message)
{
    (void)worker;
    transaction_unref(cairn_container(message, struct party, doom)->transaction);
}

static struct transaction *make(struct cairn_worker *worker, struct invocation *root)
{
    uint32_t workers = worker->node->options.workers;
    struct transaction *transaction =
        cairn_alloc_zeroed(1, sizeof *transaction + workers * sizeof *transaction->parties);
    const struct method_limits *limits;

    atomic_init(&transaction->refs, 1);
    atomic_init(&transaction->state, TRANSACTION_RUNS);
    atomic_init(&transaction->locked, 0);
    atomic_init(&transaction->bytes, 0);
    transaction->home = worker->index;
    transaction->root = root;
    cairn_list_init(&transaction->link);
    for (uint32_t i = 0; i < workers; i++) {
        struct party *party = &transaction->parties[i];

        party->transaction = transaction;
        party->worker = i;
        party->doom = (struct message){.receive = receive_doom, .drop = drop_doom};
        cairn_list_init(&party->live);
        cairn_list_init(&party->waits);
        cairn_list_init(&party->branches);
    }
    root->transaction = transaction;
    limits = method_limits_of(root, &transaction->limits);
    if (limits != &transaction->limits)
        transaction->limits = *limits;
    return transaction;
}

void transaction_make(struct cairn_worker *worker, struct invocation *root)
{
    struct transaction *transaction = make(worker, root);

    if (root->operation->is_transaction)
        root->operation->enter(root);
    transaction->age = root->request ? root->started_ns : worker_recent_ns(worker);
    transaction->number = ++worker->transaction_count * worker->node->options.workers + worker->index;
}

/* --- its end before the end --- */

void transaction_doom(struct cairn_worker *worker, struct transaction *transaction, struct cairn_bytes error)
{
    int runs = TRANSACTION_RUNS;

    if (!atomic_compare_exchange_strong(&transaction->state, &runs, TRANSACTION_DOOMED))
        return;
    if (error.size)
        cairn_buf_add(&transaction->error, error.data, error.size);
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        transaction_ref(transaction);
        worker_send(worker, i, &transaction->parties[i].doom);
    }
}

static void doom_with(struct cairn_worker *worker, struct transaction *transaction, enum cairn_code code,
                      const char *text)
{
    struct cairn_buf error = {0};

    cairn_value_add_error(&error, cairn_str(cairn_code_name(code)), cairn_str(text));
    transaction_doom(worker, transaction, cairn_buf_bytes(&error));
    cairn_buf_done(&error);
}

static void receive_doom(struct cairn_worker *worker, struct message *message)
{
    struct transaction *transaction = cairn_container(message, struct party, doom)->transaction;

    lock_refuse_waiting(worker, transaction);
    transaction_unref(transaction);
}

/* --- a segment --- */

static uint64_t time_ns(const struct cairn_worker *worker, const struct transaction *transaction)
{
    const struct method_limits *limits = &transaction->limits;

    return limits->by[CAIRN_LIMIT_TRANSACTION_TIME] == LIMIT_BY_NODE
               ? worker->node->limits.transaction_ns
               : limits->most[CAIRN_LIMIT_TRANSACTION_TIME] * 1000000;
}

/* They stand in the order of their ends: most have as much time as the one that began before. */
static void enter_by_deadline(struct cairn_worker *worker, struct transaction *transaction)
{
    struct cairn_link *before = worker->transactions.prev;

    while (before != &worker->transactions &&
           cairn_container(before, struct transaction, link)->deadline_ns > transaction->deadline_ns)
        before = before->prev;
    cairn_list_insert(before, &transaction->link);
}

bool transaction_may_run(struct cairn_worker *worker, struct invocation *inv)
{
    struct transaction *transaction = inv->transaction;

    if (transaction_doomed(transaction))
        return false;
    if (inv->branch)
        return true;
    lock_take(worker, inv); /* the root */
    transaction->deadline_ns = worker_recent_ns(worker) + time_ns(worker, transaction);
    if (transaction->first_ns == 0)
        transaction->first_ns = worker_recent_ns(worker);
    enter_by_deadline(worker, transaction);
    return true;
}

/* What the party has is gone; the last that it does. */
static void release(struct cairn_worker *worker, struct party *party)
{
    struct cairn_link *l;

    free(party->shards);
    party->shards = NULL;
    party->shard_count = 0;
    cairn_buf_done(&party->encoded);
    transaction_ref(party->transaction); /* the party is in it */
    while ((l = party->branches.next) != &party->branches)
        lock_release(worker, cairn_container(l, struct branch, link));
    transaction_unref(party->transaction);
    worker->retry_ns = 0; /* commits may have waited for it */
}

void transaction_step_back(struct cairn_worker *worker, struct invocation *inv)
{
    struct transaction *transaction = inv->transaction;

    if (transaction->root != inv || transaction->home != worker->index)
        return;
    cairn_list_remove(&transaction->link);
    inv->branch = NULL;
    transaction->parties[worker->index].dirty = false;
    atomic_store(&transaction->locked, 0);
    release(worker, &transaction->parties[worker->index]);
}

/* --- the end --- */

/* The root is as an invocation of no transaction from here on. */
static void detach(struct invocation *root)
{
    struct transaction *transaction = root->transaction;

    cairn_list_remove(&transaction->link);
    root->transaction = NULL;
    root->branch = NULL;
    transaction_unref(transaction);
}

static void finish(struct cairn_worker *worker, struct transaction *transaction, bool committed)
{
    struct invocation *root = transaction->root;
    void (*over)(struct cairn_worker *, struct invocation *, bool) = transaction->over;

    detach(root);
    over(worker, root, committed);
}

static void receive_end(struct cairn_worker *worker, struct message *message)
{
    struct party *party = cairn_container(message, struct party, message);

    if (party->prepared && party->transaction->decided)
        branches_apply(worker, party);
    else if (party->prepared)
        branches_unprepare(worker, party);
    release(worker, party);
}

/* All parties apply what they have prepared, if it is decided, and let go. */
static void end_parties(struct cairn_worker *worker, struct transaction *transaction)
{
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        struct party *party = &transaction->parties[i];

        if (cairn_list_empty(&party->branches))
            continue;
        party->message = (struct message){.receive = receive_end};
        if (i != worker->index)
            worker_send(worker, i, &party->message);
    }
    if (!cairn_list_empty(&transaction->parties[worker->index].branches))
        receive_end(worker, &transaction->parties[worker->index].message);
}

/* Nothing of it stays: the root fails, or runs again. */
static void roll_back(struct cairn_worker *worker, struct transaction *transaction)
{
    struct invocation *root = transaction->root;
    const struct cairn_limits *limits = &worker->node->limits;
    uint64_t passed = worker_recent_ns(worker) - transaction->first_ns;
    bool is_wounded = transaction_doomed(transaction) && transaction->error.size == 0;
    struct transaction *again;
    char text[160];

    root->effects = CAIRN_EFFECTS_NONE;
    if (transaction->error.size) {
        root->result.size = 0;
        cairn_buf_add(&root->result, transaction->error.data, transaction->error.size);
        root->failed = true;
    }
    if (is_wounded &&
        (transaction->attempt + 1 >= limits->transaction_attempts || passed >= limits->transaction_retry_ns)) {
        snprintf(text, sizeof text,
                 "other transactions were in its way %" PRIu32 " times, in %" PRIu64
                 " ms; nothing of it stays: try it again",
                 transaction->attempt + 1, passed / 1000000);
        set_error(root, CAIRN_ECONFLICT, text);
        root->refused = true;
        stat_add(&worker->counts.transaction_conflicts, 1);
        is_wounded = false;
    }
    transaction_ref(transaction);
    end_parties(worker, transaction);
    if (!is_wounded) {
        finish(worker, transaction, false);
    } else {
        detach(root);
        invocation_forget_calls(worker, root);
        root->result.size = 0;
        root->failed = root->refused = root->resumes = false;
        root->segment_number = 0;
        again = make(worker, root);
        again->age = transaction->age;
        again->number = transaction->number;
        again->first_ns = transaction->first_ns;
        again->attempt = transaction->attempt + 1;
        stat_add(&worker->counts.transaction_retries, 1);
        mailbox_again(worker, root);
    }
    transaction_unref(transaction);
}

static void fail_with(struct cairn_worker *worker, struct transaction *transaction, enum cairn_code code,
                      const char *text)
{
    set_error(transaction->root, code, text);
    transaction->root->refused = code != CAIRN_ELIMIT; /* that one would be the same every time */
    roll_back(worker, transaction);
}

/* --- the decision --- */

static enum cairn_code append(struct cairn_worker *worker, struct transaction *transaction, struct cairn_err *err)
{
    struct invocation *root = transaction->root;
    struct shard *shard = root->object->shard;
    uint32_t workers = worker->node->options.workers;
    struct cairn_bytes *pieces = cairn_alloc(workers * sizeof *pieces);
    size_t piece_count = 0, count = 0, bytes = 0;
    enum cairn_code code;

    for (uint32_t i = 0; i < workers; i++) {
        const struct party *party = &transaction->parties[i];

        if (!party->prepared)
            continue;
        pieces[piece_count++] = cairn_buf_bytes(&party->encoded);
        bytes += party->encoded.size;
        count += party->shard_count;
    }
    root->now_ms = 0;
    transaction->wall_ms = (uint64_t)invocation_now_ms(root);
    transaction->record = (struct dependency){.shard = shard->index};
    code = bytes <= transaction->limits.most[CAIRN_LIMIT_TRANSACTION]
               ? shard->log->ops->claim(shard->log, cairn_joint_record_bytes(bytes), 1, err)
               : cairn_fail(err, CAIRN_ELIMIT, "the transaction writes %zu bytes", bytes);
    if (bytes > transaction->limits.most[CAIRN_LIMIT_TRANSACTION])
        method_limit_tell_of(&transaction->limits, root, CAIRN_LIMIT_TRANSACTION, err);
    if (code == CAIRN_OK)
        code = cairn_joint_append(shard->shard, transaction->wall_ms, pieces, piece_count, count,
                                  &transaction->record.end, err);
    free(pieces);
    if (code == CAIRN_OK)
        root->written_bytes += bytes;
    return code;
}

/* Everything that it has is prepared, and it happens from here on, or it does not.  False: there is no room in the log
 * yet. */
static bool decide(struct cairn_worker *worker, struct transaction *transaction)
{
    struct invocation *root = transaction->root;
    struct cairn_err err;
    enum cairn_code code = transaction->code;

    cairn_err_clear(&err);
    if (code != CAIRN_OK)
        err = transaction->err;
    else if (worker->failed)
        code = cairn_fail(&err, CAIRN_EUNAVAILABLE, "%s", worker->node->failure.text);
    else
        code = append(worker, transaction, &err);
    if (code == CAIRN_EOVERLOAD)
        return false;
    if (code != CAIRN_OK) {
        fail_with(worker, transaction, code, err.text);
        return true;
    }
    transaction->decided = true;
    stat_add(&worker->counts.records, 1);
    stat_add(&worker->counts.transactions, 1);
    dependency_on_record(&root->depends, transaction->record, transaction->wall_ms);
    root->effects = CAIRN_EFFECTS_SOME;
    end_parties(worker, transaction);
    inbox_flush(worker); /* before the reply, which may leave at once: a listing that follows it comes behind this */
    finish(worker, transaction, true);
    return true;
}

static void await_turn(struct cairn_worker *worker, struct party *party)
{
    if (cairn_list_empty(&party->waits))
        cairn_list_push_back(&worker->prepares, &party->waits);
}

static void receive_decision(struct cairn_worker *worker, struct message *message)
{
    struct transaction *transaction = cairn_container(message, struct transaction, decision);
    struct party *party = &transaction->parties[worker->index];

    party->deciding = true;
    if (!decide(worker, transaction))
        await_turn(worker, party);
}

static void receive_prepare(struct cairn_worker *worker, struct message *message);

/* To the party after this worker, or to the decision: in one order for all, so that those that wait for shards do not
 * wait in a circle. */
static void pass_on(struct cairn_worker *worker, struct transaction *transaction, uint32_t from)
{
    for (uint32_t i = from; transaction->code == CAIRN_OK && i < worker->node->options.workers; i++) {
        struct party *party = &transaction->parties[i];

        if (!party->dirty)
            continue;
        party->message = (struct message){.receive = receive_prepare};
        if (i == worker->index)
            receive_prepare(worker, &party->message);
        else
            worker_send(worker, i, &party->message);
        return;
    }
    transaction->decision = (struct message){.receive = receive_decision};
    if (transaction->home == worker->index)
        receive_decision(worker, &transaction->decision);
    else
        worker_send(worker, transaction->home, &transaction->decision);
}

static bool prepare(struct cairn_worker *worker, struct party *party)
{
    struct transaction *transaction = party->transaction;

    if (!branches_prepare(worker, party, &transaction->code, &transaction->err))
        return false;
    pass_on(worker, transaction, party->worker + 1);
    return true;
}

static void receive_prepare(struct cairn_worker *worker, struct message *message)
{
    struct party *party = cairn_container(message, struct party, message);

    if (!prepare(worker, party))
        await_turn(worker, party);
}

static bool has_written(const struct cairn_worker *worker, const struct transaction *transaction)
{
    for (uint32_t i = 0; i < worker->node->options.workers; i++)
        if (transaction->parties[i].dirty)
            return true;
    return false;
}

/* A call has failed, and its result was not looked at: then the one that made it fails, too. */
static void look_at_calls(struct invocation *inv)
{
    for (uint32_t i = 0; i < inv->call_count && !inv->failed; i++) {
        const struct call *call = &inv->calls[i];
        const uint8_t *value = call->large ? call->large : call->small;

        if (call->seen || call->size == 0 || value[0] != (uint8_t)CAIRN_VALUE_ERROR)
            continue;
        inv->result.size = 0;
        cairn_buf_add(&inv->result, value, call->size);
        inv->failed = true;
    }
}

bool transaction_ends(struct cairn_worker *worker, struct invocation *inv,
                      void (*over)(struct cairn_worker *worker, struct invocation *root, bool committed))
{
    struct transaction *transaction = inv->transaction;
    int runs = TRANSACTION_RUNS;

    look_at_calls(inv);
    if (transaction->root != inv) {
        /* A root that is no method comes to nothing by each call that fails, and says which. */
        if (inv->failed && inv->method && inv->method->decl->transaction &&
            !(inv->caller == transaction->root && transaction->ends_itself))
            transaction_doom(worker, transaction, cairn_buf_bytes(&inv->result));
        return false;
    }
    transaction->over = over;
    if (inv->failed || !atomic_compare_exchange_strong(&transaction->state, &runs, TRANSACTION_DECIDES)) {
        roll_back(worker, transaction);
        return true;
    }
    if (inv->own && !inv->refused) /* its key, its message */
        transaction->parties[worker->index].dirty = true;
    if (has_written(worker, transaction)) {
        pass_on(worker, transaction, 0);
        return true;
    }
    transaction_ref(transaction);
    stat_add(&worker->counts.transactions, 1);
    end_parties(worker, transaction);
    finish(worker, transaction, true);
    transaction_unref(transaction);
    return true;
}

/* --- housekeeping --- */

static void retry_prepares(struct cairn_worker *worker)
{
    struct cairn_link now, *l;

    cairn_list_init(&now);
    while ((l = cairn_list_pop_front(&worker->prepares)))
        cairn_list_push_back(&now, l);
    while ((l = cairn_list_pop_front(&now))) {
        struct party *party = cairn_container(l, struct party, waits);

        if (!(party->deciding ? decide(worker, party->transaction) : prepare(worker, party)))
            await_turn(worker, party);
    }
}

static void end_late(struct cairn_worker *worker)
{
    uint64_t now = worker_clock_ns(worker);
    struct cairn_err err;

    for (struct cairn_link *l = worker->transactions.next; l != &worker->transactions; l = l->next) {
        struct transaction *transaction = cairn_container(l, struct transaction, link);

        if (now < transaction->deadline_ns)
            break; /* they stand in the order of their ends */
        cairn_fail(&err, CAIRN_ELIMIT, "the transaction took longer than %" PRIu64 " ms",
                   time_ns(worker, transaction) / 1000000);
        method_limit_tell_of(&transaction->limits, transaction->root, CAIRN_LIMIT_TRANSACTION_TIME, &err);
        doom_with(worker, transaction, CAIRN_ELIMIT, err.text);
    }
}

static bool step(struct cairn_worker *worker)
{
    if (!cairn_list_empty(&worker->prepares))
        retry_prepares(worker);
    if (!cairn_list_empty(&worker->transactions))
        end_late(worker);
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    uint64_t now;

    if (!cairn_list_empty(&worker->prepares))
        return RETRY_NS;
    if (cairn_list_empty(&worker->transactions))
        return UINT64_MAX;
    now = worker_recent_ns(worker);
    for (struct cairn_link *l = worker->transactions.next; l != &worker->transactions; l = l->next) {
        const struct transaction *transaction = cairn_container(l, struct transaction, link);

        if (now < transaction->deadline_ns)
            return transaction->deadline_ns - now;
    }
    return UINT64_MAX; /* they have been told, or are being decided */
}

const struct housekeeper transactions_housekeeper = {.name = "transactions", .step = step, .next_ns = next_ns};

void transactions_fail_all(struct cairn_worker *worker)
{
    for (struct cairn_link *l = worker->transactions.next; l != &worker->transactions; l = l->next)
        doom_with(worker, cairn_container(l, struct transaction, link), CAIRN_EUNAVAILABLE, worker->node->failure.text);
    retry_prepares(worker);
}

void transactions_drop(struct cairn_worker *worker)
{
    struct cairn_link *l;

    while ((l = worker->parties.next) != &worker->parties) {
        struct party *party = cairn_container(l, struct party, live);

        receive_end(worker, &party->message);
    }
}
