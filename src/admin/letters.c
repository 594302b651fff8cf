/* letters.c - a page of messages, or what is done about dead letters.
 *
 * A request goes from shard to shard, to the worker of each, until its page is full or all shards have been visited.
 * It waits for a turn at each (worker_await_turn), and stays no longer than a page's time: however many messages there
 * are, others run meanwhile.  What changes something is one record for a page of letters.
 *
 * A cursor: be64 entries still wanted | u32 shard | the place there (object/letters.h). */
#include "admin/letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/page.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/letters.h"
#include "object/worker.h"

enum { CURSOR_HEAD_BYTES = 12, LIST_PREVIEW_BYTES = 256, SHOW_PREVIEW_BYTES = 16 << 10, LETTERS_PER_RECORD = 64 };

/* Of a request, on its way. */
struct tour {
    struct invocation *inv;
    uint32_t shard;
    uint64_t left; /* entries wanted */
    struct letters_walk walk;
    struct page page;
    uint64_t looks; /* at places of the shard */
    struct cairn_buf items;
    uint64_t count;
    uint64_t numbers[LETTERS_PER_RECORD]; /* that are to be changed here */
    uint32_t number_count;
};

static void finish(struct cairn_worker *worker, struct invocation *inv)
{
    invocation_end(worker, inv);
}

/* --- what of a message is told (CAIRN_OP_MESSAGES) --- */

static void add_number(struct cairn_buf *to, uint32_t shard, const struct letter *letter)
{
    char text[48];

    snprintf(text, sizeof text, "%" PRIu32 "-%" PRIu64, shard, letter->number);
    cairn_value_add_bytes(to, cairn_str(letter->state == LETTER_LEAVES ? "" : text));
}

/* As many of the packed arguments as have a place in `most` bytes; the last of them is cut. */
static void add_args(struct cairn_buf *to, struct cairn_bytes args, size_t most)
{
    struct cairn_buf list = {0};
    uint64_t count = 0;
    size_t at = 0;

    while (args.size - at >= 4 && most) {
        uint32_t size = cairn_get_u32(args.data + at);

        if (size > args.size - at - 4)
            break;
        cairn_value_add_bytes(&list, cairn_bytes(args.data + at + 4, size < most ? size : most));
        most -= size < most ? size : most;
        at += 4 + size;
        count++;
    }
    cairn_value_add_list(to, count);
    cairn_buf_add(to, list.data, list.size);
    cairn_buf_done(&list);
}

static void add_letter(struct cairn_buf *to, uint32_t shard, const struct letter *letter, size_t preview)
{
    static const char *const states[] = {"waits", "runs", "later", "no type", "leaves", "dead"};
    const struct posted *posted = &letter->posted;

    cairn_value_add_list(to, 15);
    add_number(to, shard, letter);
    cairn_value_add_bytes(to, cairn_str(states[letter->state]));
    cairn_value_add_bytes(to, posted->type);
    cairn_value_add_bytes(to, posted->id);
    cairn_value_add_bytes(to, posted->method);
    cairn_value_add_bytes(to, posted->from_type);
    cairn_value_add_bytes(to, posted->from_id);
    cairn_value_add_int(to, (int64_t)posted->sent_ms);
    cairn_value_add_int(to, (int64_t)posted->due_ms);
    cairn_value_add_int(to, (int64_t)posted->attempts);
    cairn_value_add_bytes(to, posted->code);
    cairn_value_add_bytes(to, posted->text);
    cairn_value_add_bytes(to, cairn_str(posted->flags & POSTED_SOME ? "some" : "none"));
    cairn_value_add_int(to, (int64_t)posted->args.size);
    if (posted->flags & POSTED_SPOILED)
        cairn_value_add_list(to, 0);
    else
        add_args(to, posted->args, preview);
}

/* --- which are meant --- */

static bool is_meant(const struct invocation *inv, const struct posted *posted)
{
    const struct cairn_request *request = inv->request;
    bool spoiled = posted->flags & POSTED_SPOILED; /* nobody knows whose */

    return (spoiled || cairn_bytes_equal(posted->space, inv->space->name)) &&
           (!request->type.size || cairn_bytes_equal(request->type, posted->type)) &&
           (!request->id.size || cairn_bytes_equal(request->id, posted->id));
}

static bool list_one(void *context, const struct letter *letter)
{
    struct tour *tour = context;

    if (letter && is_meant(tour->inv, &letter->posted)) {
        add_letter(&tour->items, tour->shard, letter, LIST_PREVIEW_BYTES);
        tour->count++;
        tour->left--;
    }
    return tour->left && !page_full(&tour->page, ++tour->looks, tour->items.size);
}

static bool note_one(void *context, const struct letter *letter)
{
    struct tour *tour = context;

    if (letter && is_meant(tour->inv, &letter->posted) &&
        !(letter->posted.flags & POSTED_SPOILED && tour->inv->operation == &message_retry_operation))
        tour->numbers[tour->number_count++] = letter->number;
    return tour->number_count < LETTERS_PER_RECORD && !page_full(&tour->page, ++tour->looks, 0);
}

/* --- the tour --- */

static void leave(struct cairn_worker *worker, struct invocation *inv)
{
    struct tour *tour = inv->own;

    (void)worker;
    cairn_buf_done(&tour->walk.at);
    cairn_buf_done(&tour->items);
    free(tour);
    inv->own = NULL;
}

static void drop(struct invocation *inv)
{
    leave(NULL, inv);
}

static void go_to_shard(struct cairn_worker *worker, struct tour *tour)
{
    worker_send(worker, node_owner(worker->node, tour->shard), &tour->inv->message);
}

static void answer_list(struct cairn_worker *worker, struct tour *tour, bool more)
{
    struct invocation *inv = tour->inv;
    uint8_t head[CURSOR_HEAD_BYTES];
    struct cairn_buf cursor = {0};

    cairn_value_add_list(&inv->result, 2);
    cairn_value_add_list(&inv->result, tour->count);
    cairn_buf_add(&inv->result, tour->items.data, tour->items.size);
    if (more) {
        cairn_put_be64(head, tour->left);
        cairn_put_u32(head + 8, tour->shard);
        cairn_buf_add(&cursor, head, sizeof head);
        cairn_buf_add(&cursor, tour->walk.at.data, tour->walk.at.size);
        cairn_value_add_bytes(&inv->result, cairn_buf_bytes(&cursor));
        cairn_buf_done(&cursor);
    } else {
        cairn_value_add_nil(&inv->result);
    }
    finish(worker, inv);
}

static void fail_read(struct cairn_worker *worker, struct invocation *inv, const struct overlay *overlay)
{
    set_error(inv, overlay->code, overlay->err.text);
    finish(worker, inv);
}

/* What it has been told must not be lost. */
static void depend_on(struct invocation *inv, const struct shard *shard)
{
    dependency_join(&inv->depends, (struct dependency){.shard = shard->index, .end = shard->log->ops->end(shard->log)});
}

/* A page's share of the shard. */
static void list_shard(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct tour *tour = inv->own;
    struct shard *shard = worker_shard(worker, tour->shard);
    struct overlay overlay = {0};
    bool over;

    inv->message.receive = inv->operation->receive;
    overlay_reset(&overlay, shard->engine);
    tour->looks = 0;
    page_begin(&tour->page, worker);
    tour->walk.messages = shard->messages;
    tour->walk.overlay = &overlay;
    over = letters_walk(&tour->walk);
    depend_on(inv, shard);
    if (overlay.code != CAIRN_OK) {
        fail_read(worker, inv, &overlay);
    } else if (!over) {
        answer_list(worker, tour, tour->left > 0);
    } else {
        tour->walk.at.size = 0;
        if (++tour->shard == worker->node->shard_count)
            answer_list(worker, tour, false);
        else
            go_to_shard(worker, tour);
    }
    overlay_done(&overlay);
}

static bool change_one(const struct invocation *inv, struct messages *messages, struct overlay *overlay,
                       uint64_t number)
{
    return inv->operation == &message_retry_operation ? letters_revive(messages, overlay, number)
                                                      : letters_drop(messages, overlay, number);
}

/* One record for some of the shard's.  False: there is no room for it now. */
static bool change(struct tour *tour, struct messages *messages, struct overlay *overlay)
{
    uint64_t changed = 0;

    if (!tour->number_count)
        return true;
    if (!messages_may_begin(messages))
        return false;
    messages_begin(messages);
    for (uint32_t i = 0; i < tour->number_count; i++)
        changed += change_one(tour->inv, messages, overlay, tour->numbers[i]);
    if (!messages_commit(messages, overlay, tour->inv->operation->name))
        return false;
    tour->count += changed;
    dependency_join(&tour->inv->depends, messages->last);
    return true;
}

static void refuse_change(struct cairn_worker *worker, struct tour *tour)
{
    char text[160];

    snprintf(text, sizeof text,
             "the log has no room now; %" PRIu64 " of the dead letters are done, ask again for the rest", tour->count);
    if (tour->count)
        tour->inv->effects = CAIRN_EFFECTS_SOME;
    set_error(tour->inv, CAIRN_EOVERLOAD, text);
    finish(worker, tour->inv);
}

static void change_shard(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct tour *tour = inv->own;
    struct shard *shard = worker_shard(worker, tour->shard);
    struct overlay overlay = {0};
    bool over, done;

    inv->message.receive = inv->operation->receive;
    overlay_reset(&overlay, shard->engine);
    tour->looks = 0;
    page_begin(&tour->page, worker);
    tour->walk.messages = shard->messages;
    tour->walk.overlay = &overlay;
    tour->number_count = 0;
    over = letters_walk(&tour->walk);
    done = change(tour, shard->messages, &overlay);
    overlay_done(&overlay);
    if (!done) {
        refuse_change(worker, tour);
        return;
    }
    if (over) {
        tour->walk.at.size = 0;
        tour->shard++;
    }
    if (tour->shard < worker->node->shard_count) {
        go_to_shard(worker, tour);
        return;
    }
    cairn_value_add_int(&inv->result, (int64_t)tour->count);
    finish(worker, inv);
}

/* --- one --- */

/* "SHARD-NUMBER" */
static bool read_number(struct cairn_bytes text, uint32_t *ret_shard, uint64_t *ret_number)
{
    uint64_t parts[2] = {0};
    int part = 0, digits = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-' && part == 0 && digits) {
            part = 1;
            digits = 0;
        } else if (text.data[i] >= '0' && text.data[i] <= '9' && digits < 18) {
            parts[part] = parts[part] * 10 + (uint64_t)(text.data[i] - '0');
            digits++;
        } else {
            return false;
        }
    }
    *ret_shard = (uint32_t)parts[0];
    *ret_number = parts[1];
    return part == 1 && digits && parts[0] < UINT32_MAX;
}

static void missing(struct cairn_worker *worker, struct invocation *inv)
{
    char text[320];

    snprintf(text, sizeof text,
             "there is no message %.*s%s; `cairn messages ls` lists those that wait, `cairn messages ls --dead` dead "
             "letters",
             (int)(inv->request->name.size < 40 ? inv->request->name.size : 40), (const char *)inv->request->name.data,
             inv->operation == &message_operation ? " that is dead, is due later, or waits where it came in"
                                                  : " among the dead letters that can be");
    set_error(inv, CAIRN_ENOTFOUND, text);
    finish(worker, inv);
}

static void one_shard(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct tour *tour = inv->own;
    struct messages *messages = worker_shard(worker, tour->shard)->messages;
    struct overlay overlay = {0};
    struct letter letter;
    bool found;

    overlay_reset(&overlay, messages->shard->engine);
    found = letters_find(messages, &overlay, tour->numbers[0], &letter) && is_meant(inv, &letter.posted);
    if (inv->operation == &message_operation) {
        if (found)
            add_letter(&inv->result, tour->shard, &letter, SHOW_PREVIEW_BYTES);
        depend_on(inv, messages->shard);
    } else if (found && letter.state == LETTER_DEAD) {
        tour->number_count = 1;
        if (!change(tour, messages, &overlay)) {
            overlay_done(&overlay);
            refuse_change(worker, tour);
            return;
        }
        found = tour->count > 0;
        cairn_value_add_int(&inv->result, (int64_t)tour->count);
    } else {
        found = false;
    }
    if (overlay.code != CAIRN_OK)
        fail_read(worker, inv, &overlay);
    else if (!found)
        missing(worker, inv);
    else
        finish(worker, inv);
    overlay_done(&overlay);
}

/* --- coming in --- */

static void receive(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    inv->message.receive = inv->request->name.size                 ? one_shard
                           : inv->operation == &messages_operation ? list_shard
                                                                   : change_shard;
    worker_await_turn(worker, message);
}

static void bad_cursor(struct cairn_worker *worker, struct invocation *inv)
{
    set_error(inv, CAIRN_EINVAL, "that cursor is of no page of messages");
    finish(worker, inv);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    struct tour *tour;

    if (request->peek) {
        cairn_value_add_nil(&inv->result);
        finish(worker, inv);
        return;
    }
    inv->own = tour = cairn_alloc_zeroed(1, sizeof *tour);
    tour->inv = inv;
    tour->left = request->limit ? request->limit : UINT64_MAX;
    tour->walk.context = tour;
    tour->walk.visit = inv->operation == &messages_operation ? list_one : note_one;
    tour->walk.dead = request->dead || inv->operation != &messages_operation;
    if (request->name.size &&
        (!read_number(request->name, &tour->shard, &tour->numbers[0]) || tour->shard >= worker->node->shard_count)) {
        missing(worker, inv);
        return;
    }
    if (request->cursor.size) {
        if (request->cursor.size < CURSOR_HEAD_BYTES || request->cursor.size > 2048) {
            bad_cursor(worker, inv);
            return;
        }
        tour->left = cairn_get_be64(request->cursor.data);
        tour->shard = cairn_get_u32(request->cursor.data + 8);
        cairn_buf_add(&tour->walk.at, request->cursor.data + CURSOR_HEAD_BYTES,
                      request->cursor.size - CURSOR_HEAD_BYTES);
        if (tour->shard >= worker->node->shard_count || !tour->left) {
            bad_cursor(worker, inv);
            return;
        }
    }
    go_to_shard(worker, tour);
}

static enum cairn_code check_one(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->name.size)
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_EINVAL, "say which message: its number is the first column of `cairn messages ls`");
}

#define OPERATION(called, checks)                                                                            \
    {                                                                                                        \
        .name = called, .check = checks, .submit = submit, .receive = receive, .leave = leave, .drop = drop, \
        .answer = hold_answer                                                                                \
    }

const struct operation messages_operation = OPERATION("messages", NULL);
const struct operation message_operation = OPERATION("message", check_one);
const struct operation message_retry_operation = OPERATION("retried", NULL);
const struct operation message_drop_operation = OPERATION("dropped", NULL);
