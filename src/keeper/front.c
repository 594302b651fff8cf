#include "keeper/front.h"

#include <stdio.h>
#include <stdlib.h>

#include "keeper/answer.h"
#include "keeper/fetch.h"
#include "keeper/links.h"
#include "keeper/puts.h"
#include "keeper/room.h"
#include "keeper/tree.h"
#include "keeper/write.h"
#include "object/hold.h"
#include "object/operation.h"

/* Of writes that go together: more would keep others waiting. */
enum { GATHERED_BYTES_MAX = 64 << 10, GATHERED_PARTS_MAX = 64 };

/* --- notes ------------------------------------------------------------------------------------------ */

/* To the owner of the home's tree, of a link. */
static void tell_owner(struct keeper_home *home, const struct keeper_link *link, uint64_t number,
                       void (*receive)(struct cairn_worker *worker, struct message *message))
{
    struct keeper_note *note = keeper_note_new(home->compartment, 0, receive);

    note->session = link->session;
    note->generation = link->generation;
    note->number = number;
    note->from = home->worker->index;
    worker_send(home->worker, home->owner, &note->message);
}

static void tell_heard_of(struct keeper_item *item, void *context)
{
    struct keeper_home *home = cairn_container(item, struct keeper_home, item);
    struct keeper_note *note = NULL;
    uint32_t count = 0;

    (void)context;
    for (struct cairn_link *l = home->links.next; l != &home->links; l = l->next)
        count += cairn_container(l, struct keeper_link, of_home)->heard;
    if (!count)
        return;
    note = keeper_note_new(home->compartment, count, keeper_tree_heard);
    for (struct cairn_link *l = home->links.next; l != &home->links; l = l->next) {
        struct keeper_link *link = cairn_container(l, struct keeper_link, of_home);

        if (link->heard)
            note->sessions[note->count++] = link->session;
        link->heard = false;
    }
    worker_send(home->worker, home->owner, &note->message);
}

void keeper_front_tell_heard(struct keeper_worker *kw)
{
    keeper_map_each(&kw->homes, tell_heard_of, NULL);
}

/* --- answers -------------------------------------------------------------------------------------- */

static struct keeper_task *task_new(struct keeper_home *home, struct keeper_link *link, struct keeper_ask *ask,
                                    int kind)
{
    struct keeper_task *task = cairn_alloc_zeroed(1, sizeof *task);

    *task = (struct keeper_task){.worker = home->worker,
                                 .home = home,
                                 .ask = ask,
                                 .link = link,
                                 .kind = kind,
                                 .session = link->session,
                                 .generation = link->generation,
                                 .number = link->number};
    cairn_list_init(&task->at);
    cairn_list_push_back(&keeper_worker_of(home->worker)->tasks, &task->all);
    ask->error = 0;
    ask->failed_part = UINT32_MAX;
    ask->slots = NULL;
    ask->slot_count = 0;
    ask->state = NULL;
    ask->why = NULL;
    return task;
}

static void task_free(struct keeper_task *task)
{
    cairn_list_remove(&task->all);
    keeper_puts_free(task->puts);
    free(task);
}

/* The link learns of what has been told. */
static void learn(struct keeper_link *link, uint64_t zxid)
{
    if (zxid > link->zxid)
        link->zxid = zxid;
    if (zxid >> 32 > link->epoch)
        link->epoch = zxid >> 32;
}

/* With zxid 0 it is the last that the link has been told: not that of what is answered behind it, which it may know. */
static void answer_at(struct keeper_ask *ask, uint64_t zxid, int32_t error, const char *why)
{
    ask->error = error;
    ask->why = why;
    ask->zxid = zxid ? zxid : ask->link->zxid;
    ask->answer(ask);
}

static void answer(struct keeper_ask *ask, int32_t error, const char *why)
{
    answer_at(ask, 0, error, why);
}

/* The error that the node's own is to a client: whether something may have happened. */
static int32_t error_of(const struct cairn_request *request)
{
    return request->effects == CAIRN_EFFECTS_NONE ? -1 : -4;
}

static void task_end(struct keeper_task *task, int32_t error, const char *why)
{
    struct keeper_ask *ask = task->ask;

    task_free(task);
    answer(ask, error, why);
}

/* --- connecting ----------------------------------------------------------------------------------- */

static void ask_owner(struct keeper_task *task, int kind);

/* A connect that has come to nothing. */
static void connect_fails(struct keeper_task *task, int32_t error, const char *why)
{
    struct keeper_link *link = task->link;

    if (link->state == KEEPER_LINK_CONNECTING)
        link->state = KEEPER_LINK_NEW;
    link->session = 0;
    task_end(task, error, why);
}

static void connected(struct keeper_task *task, uint32_t timeout_ms)
{
    struct keeper_link *link = task->link;

    if (link->state == KEEPER_LINK_LEFT) { /* no connection takes the session: it ends by its timeout */
        task_end(task, -4, NULL);
        return;
    }
    memcpy(link->password, task->ask->session ? task->ask->password.data : link->password, KEEPER_PASSWORD_BYTES);
    keeper_link_open(link, task->session, task->generation, timeout_ms);
    link->heard = true;
    task_end(task, 0, NULL);
}

static uint32_t timeout_of(uint32_t asked_ms)
{
    return asked_ms < KEEPER_TIMEOUT_MS_MIN   ? KEEPER_TIMEOUT_MS_MIN
           : asked_ms > KEEPER_TIMEOUT_MS_MAX ? KEEPER_TIMEOUT_MS_MAX
                                              : asked_ms;
}

static void opened(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_task *task = call->context;
    struct keeper_outcome outcome;

    keeper_outcome_read(call, value, &outcome);
    if (outcome.error) {
        connect_fails(task, outcome.error, outcome.why);
        return;
    }
    learn(task->link, outcome.zxid);
    task->generation = KEEPER_FIRST_GENERATION;
    connected(task, timeout_of(task->ask->timeout_ms));
}

/* A number whose object is this worker's; no container or TTL node can have it for an owner. */
static uint64_t draw_session(struct keeper_home *home)
{
    struct cairn_worker *worker = home->worker;
    uint64_t session;
    uint8_t id[16];

    do {
        session = worker->node->options.clock->entropy(worker->node->options.clock) >> 8;
        keeper_id_hex(session, id);
    } while (!session || node_owner(worker->node, node_shard_of(worker->node, home->compartment,
                                                                cairn_bytes(id, sizeof id))) != worker->index);
    return session;
}

static void open_session(struct keeper_task *task)
{
    struct cairn_clock *clock = task->worker->node->options.clock;
    struct keeper_link *link = task->link;
    uint64_t secret[2] = {clock->entropy(clock), clock->entropy(clock)};

    memcpy(link->password, secret, KEEPER_PASSWORD_BYTES);
    task->session = draw_session(task->home);
    keeper_call_open(task->worker, task->home->compartment, task->session,
                     cairn_bytes(link->password, KEEPER_PASSWORD_BYTES), timeout_of(task->ask->timeout_ms), link->epoch,
                     opened, task);
}

static void attached(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_task *task = call->context;
    struct keeper_outcome outcome;

    keeper_outcome_read(call, value, &outcome);
    if (!outcome.error && !keeper_outcome_attached(&outcome, &task->generation, &task->link->timeout_ms)) {
        outcome.error = -1;
        outcome.why = "Session.attach has answered something else";
    }
    if (outcome.error)
        connect_fails(task, outcome.by_module ? -112 : outcome.error, outcome.why);
    else
        ask_owner(task, TASK_ATTACH);
}

static void attach_session(struct keeper_task *task)
{
    const struct keeper_ask *ask = task->ask;

    if (ask->password.size != KEEPER_PASSWORD_BYTES || !ask->session || ask->session >> 56) {
        connect_fails(task, -112, NULL);
        return;
    }
    task->session = ask->session;
    keeper_call_attach(task->worker, task->home->compartment, ask->session, ask->password, attached, task);
}

/* What the owner has said to one that connects; the task's request is over. */
static void entered(struct keeper_task *task, const struct answer_head *head)
{
    struct keeper_link *link = task->link;

    if (head->epoch > link->epoch)
        link->epoch = head->epoch;
    if (head->error) {
        if (task->kind == TASK_ATTACH && head->error == -112) /* what a crash has left of it */
            keeper_call_close(task->worker, task->home->compartment, task->session, 0, link->epoch, NULL, NULL);
        connect_fails(task, head->error, NULL);
        return;
    }
    if (task->ask->zxid_seen > head->zxid) {
        connect_fails(task, -2, NULL);
        return;
    }
    learn(link, head->zxid);
    if (task->kind == TASK_ATTACH)
        connected(task, link->timeout_ms);
    else if (task->ask->session)
        attach_session(task);
    else
        open_session(task);
}

static void connect(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    link->home = keeper_home_get(worker, link->space);
    link->state = KEEPER_LINK_CONNECTING;
    cairn_list_init(&link->writes);
    cairn_list_init(&link->unsent);
    cairn_list_init(&link->of_home);
    ask->link = link;
    ask_owner(task_new(link->home, link, ask, TASK_ENTER), TASK_ENTER);
}

/* --- reads ---------------------------------------------------------------------------------------- */

static void read_over(struct keeper_task *task, struct answer *answer)
{
    struct keeper_ask *ask = task->ask;

    learn(ask->link, answer->head.zxid);
    task_free(task);
    ask->error = answer->head.error;
    ask->zxid = answer->head.zxid ? answer->head.zxid : ask->link->zxid;
    ask->slots = answer->slots;
    ask->slot_count = answer->head.slots;
    ask->state = answer->head.has_state ? &answer->state : NULL;
    ask->answer(ask);
}

static void replied(struct cairn_request *request, struct cairn_bytes value)
{
    struct keeper_task *task = request->owner;
    char text[CAIRN_ERR_TEXT_BYTES];
    struct answer answer;

    if (!answer_read(value, &answer)) {
        if (task->kind == TASK_READ)
            task_end(task, error_of(request), keeper_error_text(value, text));
        else
            connect_fails(task, error_of(request), keeper_error_text(value, text));
        return;
    }
    if (task->kind == TASK_READ && answer.head.blobs) {
        learn(task->link, answer.head.zxid);
        keeper_fetch(task, value, read_over);
    } else if (task->kind == TASK_READ) {
        read_over(task, &answer);
    } else {
        entered(task, &answer.head);
    }
    answer_done(&answer);
}

static void ask_owner(struct keeper_task *task, int kind)
{
    task->kind = kind;
    task->request = (struct cairn_request){
        .op = kind == TASK_ATTACH ? CAIRN_OP_KEEPER_ATTACH : CAIRN_OP_KEEPER_READ,
        .space = task->home->compartment,
        .reply = replied,
        .owner = task,
    };
    cairn_worker_submit(task->worker, &task->request);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    struct keeper_task *task = inv->request->owner;

    if (task->home->owner == worker->index)
        keeper_tree_receive(worker, &inv->message);
    else
        worker_send(worker, task->home->owner, &inv->message);
}

const struct operation keeper_operation = {
    .name = "keeper", .aim = AIM_NODE, .submit = submit, .receive = keeper_tree_receive, .answer = hold_answer};

/* --- writes --------------------------------------------------------------------------------------- */

/* Writes that never came to the tree are decided all the same, once those before them are: reads wait for that. */
static void writes_decided(struct keeper_home *home, struct keeper_link *link)
{
    uint64_t number = 0;

    while (!cairn_list_empty(&link->writes)) {
        struct keeper_task *task = cairn_container(link->writes.next, struct keeper_task, at);

        if (!task->is_done)
            break;
        cairn_list_remove(&task->at);
        if (task->is_open)
            number = task->number;
        task_free(task);
    }
    if (number)
        tell_owner(home, link, number, keeper_tree_decided);
}

/* Of a write that has come to the tree: its slots are read from *r.  NULL: the whole has failed. */
static void write_over(struct keeper_task *task, struct keeper_outcome *outcome, struct cairn_reader *r)
{
    struct keeper_ask *ask = task->ask;
    struct keeper_link *link = ask->link;
    struct keeper_slot one, *slots = &one;

    learn(link, outcome->zxid);
    ask->failed_part = outcome->part;
    if (!outcome->error && r) {
        if (ask->part_count > 1)
            slots = cairn_alloc(ask->part_count * sizeof *slots);
        if (!keeper_outcome_slots(outcome, r, ask, slots)) {
            outcome->error = -1;
            outcome->why = "Session.write has answered something else";
        }
        ask->slots = slots;
        ask->slot_count = ask->part_count;
    }
    if (outcome->error)
        ask->slot_count = 0;
    task->is_done = true;
    task->is_open = outcome->error && !outcome->zxid;
    writes_decided(task->home, link);
    answer_at(ask, outcome->zxid, outcome->error, outcome->why);
    if (slots != &one)
        free(slots);
}

static void written(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_task *next = call->context;
    struct keeper_outcome outcome;
    struct cairn_reader r;
    bool each = keeper_outcomes_begin(call, value, &r, &outcome);

    while (next) {
        struct keeper_task *task = next;

        next = task->next;
        if (each)
            keeper_outcomes_next(call, &r, &outcome);
        write_over(task, &outcome, each ? &r : NULL);
    }
}

static void closed(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_task *task = call->context;
    struct keeper_link *link = task->link;
    struct keeper_outcome outcome;

    keeper_outcome_read(call, value, &outcome);
    link->closing = false;
    if (!outcome.error)
        keeper_link_shut(link);
    write_over(task, &outcome, NULL);
}

static void flush(struct cairn_worker *worker, struct keeper_link *link)
{
    struct keeper_gathered gathered = link->gathered;

    if (!gathered.call)
        return;
    link->gathered = (struct keeper_gathered){0};
    inbox_flush(worker); /* reads before them are at the owner before they are */
    keeper_call_submit(gathered.call, gathered.last->number);
}

static size_t bytes_of(const struct keeper_ask *ask)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < ask->part_count; i++)
        bytes += ask->parts[i].path.size + ask->parts[i].data.size + ask->parts[i].acl.size;
    return bytes;
}

/* Behind those that go with it, if it can. */
static void gather(struct keeper_task *task)
{
    struct keeper_gathered *g = &task->link->gathered;
    const struct keeper_ask *ask = task->ask;
    size_t bytes = bytes_of(ask);

    if (task->behind_read || g->bytes + bytes > GATHERED_BYTES_MAX || g->parts + ask->part_count > GATHERED_PARTS_MAX ||
        g->identities.data != ask->identities.data || g->identities.size != ask->identities.size)
        flush(task->worker, task->link);
    if (g->call)
        g->last->next = task;
    else
        g->call = keeper_call_writes(task, written);
    g->last = task;
    g->identities = ask->identities;
    g->bytes += bytes;
    g->parts += ask->part_count;
    keeper_call_add(g->call, task);
}

static void send_close(struct keeper_task *task)
{
    struct keeper_home *home = task->home;
    struct keeper_link *link = task->link;

    flush(home->worker, link);
    inbox_flush(home->worker);
    link->closing = true;
    keeper_call_close(home->worker, home->compartment, link->session, link->generation, link->epoch, closed, task);
}

static void send_write(struct keeper_task *task)
{
    if (task->ask->op == KEEPER_CLOSE)
        send_close(task);
    else
        gather(task);
}

/* Its data could not be put. */
static void fail_write(struct keeper_task *task, const char *why)
{
    struct keeper_ask *ask = task->ask;
    char text[CAIRN_ERR_TEXT_BYTES];

    snprintf(text, sizeof text, "%s", why);
    task->is_done = task->is_open = true;
    writes_decided(task->home, task->link);
    answer(ask, -1, text);
}

/* Writes that wait for nothing are sent, in their order. */
static void send_unsent(struct keeper_task *task)
{
    struct cairn_worker *worker = task->worker;
    struct keeper_link *link = task->link;

    for (bool more = true; more;) { /* the link may be gone with the answer to the last of them */
        task = cairn_container(link->unsent.next, struct keeper_task, unsent);
        if (keeper_puts_missing(task->puts)) {
            flush(worker, link);
            return;
        }
        cairn_list_remove(&task->unsent);
        more = !cairn_list_empty(&link->unsent);
        if (keeper_puts_fault(task->puts)) {
            flush(worker, link);
            fail_write(task, keeper_puts_fault(task->puts));
        } else if (task->ask->op == KEEPER_CLOSE) {
            send_close(task);
        } else {
            gather(task);
            if (!more)
                flush(worker, link);
        }
    }
}

static void write_(struct keeper_link *link, struct keeper_ask *ask)
{
    struct keeper_task *task;

    link->number++;
    task = task_new(link->home, link, ask, TASK_WRITE);
    task->behind_read = link->has_read;
    link->has_read = false;
    cairn_list_push_back(&link->writes, &task->at);
    task->puts = keeper_puts_begin(task, send_unsent);
    if (task->puts || !cairn_list_empty(&link->unsent))
        cairn_list_push_back(&link->unsent, &task->unsent);
    else
        send_write(task);
}

/* --- the table ------------------------------------------------------------------------------------ */

static void ask_(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    bool looks = ask->op == KEEPER_STATE || ask->op == KEEPER_SESSIONS || ask->op == KEEPER_WATCHES;

    ask->link = link;
    ask->slot_count = 0;
    ask->failed_part = UINT32_MAX;
    if (looks) {
        ask_owner(task_new(keeper_home_get(worker, link->space), link, ask, TASK_READ), TASK_READ);
    } else if (link->state != KEEPER_LINK_OPEN) {
        answer(ask, -112, NULL);
    } else if (keeper_op_writes(ask->op)) {
        write_(link, ask);
    } else {
        link->has_read = true; /* it comes behind the writes before it, and sees none behind it */
        flush(worker, link);
        ask_owner(task_new(link->home, link, ask, TASK_READ), TASK_READ);
    }
}

static void leave(struct cairn_worker *worker, struct keeper_link *link)
{
    flush(worker, link);
    if (link->state == KEEPER_LINK_OPEN)
        tell_owner(link->home, link, 0, keeper_tree_left);
    if (link->state != KEEPER_LINK_NEW)
        keeper_link_shut(link);
}

const struct keeper_ops keeper_ops = {.connect = connect, .ask = ask_, .flush = flush, .leave = leave};

/* --- the end -------------------------------------------------------------------------------------- */

void keeper_front_close(struct keeper_worker *kw)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&kw->tasks))) {
        struct keeper_task *task = cairn_container(l, struct keeper_task, all);

        keeper_fetch_drop(task);
        keeper_puts_free(task->puts);
        free(task);
    }
    keeper_calls_free(kw);
    keeper_links_free(kw);
}
