/* room.c - what waits for room in the log: commits, and segments that may not begin meanwhile. */
#include "object/room.h"

#include "object/clock.h"
#include "object/commit.h"
#include "object/mailbox.h"
#include "object/participants.h"
#include "object/table.h"
#include "object/transaction.h"

static void wait_in(struct cairn_link *line, struct invocation *inv,
                    void (*go_on)(struct cairn_worker *worker, struct invocation *inv))
{
    invocation_move(inv, INV_ROOM);
    inv->go_on = go_on;
    cairn_list_push_back(line, &inv->link);
}

bool room_commit(struct cairn_worker *worker, struct invocation *inv, bool is_over, enum cairn_code *ret_code,
                 struct cairn_err *err, void (*again)(struct cairn_worker *worker, struct invocation *inv))
{
    if (__builtin_expect(inv->branch != NULL, 0)) {
        *ret_code = branch_take(inv, err);
        return true;
    }
    *ret_code = CAIRN_EOVERLOAD;
    if (cairn_list_empty(&worker->commits) || worker->failed)
        *ret_code = segment_commit(inv, is_over, participants, participant_count, participants_spared(inv), err);
    if (*ret_code != CAIRN_EOVERLOAD)
        return true;
    wait_in(&worker->commits, inv, again);
    return false;
}

/* How long a request waits until it may begin. */
static const uint64_t begin_wait_ns = 5000000000;

static bool has_waited_long(struct cairn_worker *worker, struct invocation *inv)
{
    uint64_t now = worker_clock_ns(worker);

    if (inv->waits_ns == 0)
        inv->waits_ns = now;
    return inv->request && !inv->resumes && now - inv->waits_ns > begin_wait_ns;
}

bool room_begin_waits(struct cairn_worker *worker, struct invocation *inv,
                      void (*go_on)(struct cairn_worker *worker, struct invocation *inv))
{
    if (has_waited_long(worker, inv))
        return false;
    wait_in(&worker->begins, inv, go_on);
    return true;
}

/* In their order, until one has to wait again. */
static void line_retry(struct cairn_worker *worker, struct cairn_link *line, bool all)
{
    struct cairn_link now, *l;

    cairn_list_init(&now);
    while ((l = cairn_list_pop_front(line)))
        cairn_list_push_back(&now, l);
    while ((all || cairn_list_empty(line)) && (l = cairn_list_pop_front(&now))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        struct object *object = inv->object;

        object_ref(worker, object);
        invocation_move(inv, INV_RUNNING);
        inv->go_on(worker, inv);
        object_make_ready(worker, object);
        object_unref(worker, object);
    }
    while ((l = cairn_list_pop_front(&now)))
        cairn_list_push_back(line, l);
}

void room_retry(struct cairn_worker *worker)
{
    struct cairn_link *first = worker->begins.next;

    line_retry(worker, &worker->commits, worker->failed);
    if (cairn_list_empty(&worker->begins))
        return;
    /* Each may wait for something else; but while a commit waits, all do, and only the time counts. */
    if (cairn_list_empty(&worker->commits) || has_waited_long(worker, cairn_container(first, struct invocation, link)))
        line_retry(worker, &worker->begins, true);
}

enum { ROOM_RETRY_NS = 500000 }; /* the log makes room in the background and says nothing; a request waits for it */

static bool room_is_awaited(const struct cairn_worker *worker)
{
    return !cairn_list_empty(&worker->commits) || !cairn_list_empty(&worker->begins);
}

static bool room_step(struct cairn_worker *worker)
{
    uint64_t now;

    if (!room_is_awaited(worker))
        return false;
    now = worker_clock_ns(worker);
    if (now >= worker->retry_ns) {
        worker->retry_ns = now + ROOM_RETRY_NS;
        room_retry(worker);
    }
    return false;
}

static uint64_t room_next_ns(struct cairn_worker *worker)
{
    return room_is_awaited(worker) ? ROOM_RETRY_NS : UINT64_MAX;
}

const struct housekeeper room_housekeeper = {.name = "room in the log", .step = room_step, .next_ns = room_next_ns};
