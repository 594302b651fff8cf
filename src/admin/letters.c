/* letters.c - a page of messages, or what is done about dead letters: tours (tour.h).  What changes something is one
 * record for a page of letters.
 *
 * The place of a cursor is that of object/letters.h. */
#include "admin/letters.h"

#include <inttypes.h>
#include <stdio.h>

#include "admin/tour.h"
#include "object/hold.h"
#include "object/letters.h"
#include "object/timers.h"
#include "object/worker.h"

enum {
    PLACE_BYTES_MAX = 2036,
    LIST_PREVIEW_BYTES = 256,
    SHOW_PREVIEW_BYTES = 16 << 10,
    LETTERS_PER_RECORD = 64,
};

struct letters_tour {
    struct tour tour;                     /* first */
    uint64_t numbers[LETTERS_PER_RECORD]; /* that are to be changed in the shard */
    uint32_t number_count;
    bool seeks;             /* numbers[0] is looked for in the shard's side lines */
    uint64_t types_changed; /* of the worker, as that began: lines are served or parked by it */
    bool found;
    struct letter letter; /* that was found; what is borrowed is not */
};

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
    bool spoiled = posted->flags & POSTED_SPOILED; /* whose it is cannot be told */

    return (spoiled || cairn_bytes_equal(posted->space, inv->space->name)) &&
           (!request->type.size || cairn_bytes_equal(request->type, posted->type)) &&
           (!request->id.size || cairn_bytes_equal(request->id, posted->id));
}

static bool list_one(void *context, const struct letter *letter)
{
    struct letters_tour *letters = context;
    struct tour *tour = &letters->tour;

    if (letter && is_meant(tour->inv, &letter->posted)) {
        add_letter(&tour->items, tour->shard, letter, LIST_PREVIEW_BYTES);
        tour_added(tour);
    }
    return tour_goes_on(tour);
}

static bool note_one(void *context, const struct letter *letter)
{
    struct letters_tour *letters = context;
    const struct invocation *inv = letters->tour.inv;

    if (letter && is_meant(inv, &letter->posted) &&
        !(letter->posted.flags & POSTED_SPOILED && inv->operation == &message_retry_operation))
        letters->numbers[letters->number_count++] = letter->number;
    return tour_goes_on(&letters->tour) && letters->number_count < LETTERS_PER_RECORD;
}

/* --- all that are meant --- */

static bool walk(struct letters_tour *letters, struct shard *shard, struct overlay *overlay, bool dead,
                 bool (*visit)(void *context, const struct letter *letter))
{
    struct letters_walk walk = {.messages = shard->messages,
                                .overlay = overlay,
                                .dead = dead,
                                .at = letters->tour.at,
                                .visit = visit,
                                .context = letters};
    bool over;

    if (letters->seeks)
        letters_walk_sides(&walk);
    over = letters_walk(&walk);

    letters->tour.at = walk.at;
    return over;
}

static bool list(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    (void)worker;
    return walk((struct letters_tour *)tour, shard, overlay, tour->inv->request->dead, list_one);
}

static bool change_one(const struct invocation *inv, struct messages *messages, struct overlay *overlay,
                       uint64_t number)
{
    return inv->operation == &message_retry_operation ? letters_revive(messages, overlay, number)
                                                      : letters_drop(messages, overlay, number);
}

/* One record for some of the shard's.  False: there is no room for it now. */
static bool change(struct letters_tour *letters, struct messages *messages, struct overlay *overlay)
{
    struct tour *tour = &letters->tour;
    uint64_t changed = 0;

    if (!letters->number_count)
        return true;
    if (!messages_may_begin(messages))
        return false;
    messages_begin(messages);
    for (uint32_t i = 0; i < letters->number_count; i++)
        changed += change_one(tour->inv, messages, overlay, letters->numbers[i]);
    if (!messages_commit(messages, overlay, tour->inv->operation->name))
        return false;
    tour->count += changed;
    return true;
}

static void refuse_change(struct tour *tour)
{
    char text[160];

    snprintf(text, sizeof text, "the log has no room now; %" PRIu64 " messages are done, ask again for the rest",
             tour->count);
    if (tour->count)
        tour->inv->effects = CAIRN_EFFECTS_SOME;
    set_error(tour->inv, CAIRN_EOVERLOAD, text);
}

static bool change_all(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct letters_tour *letters = (struct letters_tour *)tour;
    bool over;

    (void)worker;
    letters->number_count = 0;
    over = walk(letters, shard, overlay, true, note_one);
    if (!change(letters, shard->messages, overlay))
        refuse_change(tour);
    return over;
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

static void missing(struct invocation *inv)
{
    char text[320];

    snprintf(text, sizeof text,
             "there is no message %.*s%s; `cairn messages ls` lists those that wait, `cairn messages ls --dead` dead "
             "letters",
             (int)(inv->request->name.size < 40 ? inv->request->name.size : 40), (const char *)inv->request->name.data,
             inv->operation == &message_retry_operation ? " among the dead letters that can be tried again" : "");
    set_error(inv, CAIRN_ENOTFOUND, text);
}

/* One that waits behind others for its object, or for its type. */
static bool seek_one(void *context, const struct letter *letter)
{
    struct letters_tour *letters = context;
    struct tour *tour = &letters->tour;

    if (!letter || letter->number != letters->numbers[0] || !is_meant(tour->inv, &letter->posted))
        return tour_goes_on(tour);
    letters->found = true;
    letters->letter = *letter;
    if (tour->inv->operation == &message_operation)
        add_letter(&tour->inv->result, tour->shard, letter, SHOW_PREVIEW_BYTES);
    return false;
}

/* Finds the letter that is named, wherever it waits.  False: there is more to look at, in another turn. */
static bool find(struct cairn_worker *worker, struct letters_tour *letters, struct shard *shard,
                 struct overlay *overlay)
{
    if (!letters->seeks && letters_find(shard->messages, overlay, letters->numbers[0], &letters->letter)) {
        letters->found = is_meant(letters->tour.inv, &letters->letter.posted);
        if (letters->found && letters->tour.inv->operation == &message_operation)
            add_letter(&letters->tour.inv->result, letters->tour.shard, &letters->letter, SHOW_PREVIEW_BYTES);
        return true;
    }
    if (!letters->seeks) {
        letters->seeks = true;
        letters->types_changed = worker->types_changed;
    }
    if (!walk(letters, shard, overlay, false, seek_one))
        return letters->found;
    if (letters->types_changed == worker->types_changed || letters->found)
        return true;
    letters->seeks = false; /* it may have been passed by: from the beginning */
    letters->tour.at.size = 0;
    return false;
}

static bool show(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct letters_tour *letters = (struct letters_tour *)tour;

    if (!find(worker, letters, shard, overlay))
        return false;
    if (!letters->found && overlay->code == CAIRN_OK)
        missing(tour->inv);
    return true;
}

/* One record, in which the message is no more. */
static bool withdraw(struct letters_tour *letters, struct messages *messages, struct overlay *overlay)
{
    if (!messages_may_begin(messages))
        return false;
    messages_begin(messages);
    letters_withdraw(messages, overlay, &letters->letter);
    if (!messages_commit(messages, overlay, letters->tour.inv->operation->name))
        return false;
    timers_count(messages->shard);
    letters->tour.count = 1;
    return true;
}

static bool change_named(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct letters_tour *letters = (struct letters_tour *)tour;
    bool drops = tour->inv->operation == &message_drop_operation, good = true;

    letters->number_count = 1;
    if (!find(worker, letters, shard, overlay))
        return false;
    if (letters->found) {
        if (letters->letter.state == LETTER_DEAD)
            good = change(letters, shard->messages, overlay);
        else if (drops && letters->letter.state != LETTER_RUNS)
            good = withdraw(letters, shard->messages, overlay);
        else if (drops) {
            set_error(tour->inv, CAIRN_ECONFLICT,
                      "that message runs, or is next in its object's mailbox: it cannot be dropped any more");
            return true;
        }
    }
    if (!good)
        refuse_change(tour);
    else if (overlay->code == CAIRN_OK && !tour->count)
        missing(tour->inv);
    return true;
}

/* --- coming in --- */

#define KIND(answers, visits)                                                                       \
    {                                                                                               \
        .of = "messages", .bytes = sizeof(struct letters_tour), .place_bytes_max = PLACE_BYTES_MAX, \
        .answer = (answers), .visit = (visits)                                                      \
    }

static const struct tour_kind list_kind = KIND(TOUR_PAGE, list);
static const struct tour_kind change_all_kind = KIND(TOUR_COUNT, change_all);
static const struct tour_kind show_kind = KIND(TOUR_OWN, show);
static const struct tour_kind change_named_kind = KIND(TOUR_COUNT, change_named);

static void submit(struct cairn_worker *worker, struct invocation *inv, const struct tour_kind *all,
                   const struct tour_kind *named)
{
    struct cairn_bytes name = inv->request->name;
    struct letters_tour *letters = (struct letters_tour *)tour_begin(worker, inv, name.size ? named : all);

    if (!letters)
        return;
    letters->tour.one_shard = name.size > 0;
    if (name.size && (!read_number(name, &letters->tour.shard, &letters->numbers[0]) ||
                      letters->tour.shard >= worker->node->shard_count)) {
        missing(inv);
        invocation_end(worker, inv);
        return;
    }
    tour_leave(worker, &letters->tour);
}

static void submit_list(struct cairn_worker *worker, struct invocation *inv)
{
    submit(worker, inv, &list_kind, &list_kind);
}

static void submit_show(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->peek) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
        return;
    }
    submit(worker, inv, &show_kind, &show_kind);
}

static void submit_change(struct cairn_worker *worker, struct invocation *inv)
{
    submit(worker, inv, &change_all_kind, &change_named_kind);
}

static enum cairn_code check_one(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->name.size)
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_EINVAL, "say which message: its number is the first column of `cairn messages ls`");
}

const struct operation messages_operation = TOUR_OPERATION("messages", NULL, submit_list);
const struct operation message_operation = TOUR_OPERATION("message", check_one, submit_show);
const struct operation message_retry_operation = TOUR_OPERATION("retried", NULL, submit_change);
const struct operation message_drop_operation = TOUR_OPERATION("dropped", NULL, submit_change);
