#include "admin/spaces.h"

#include <assert.h>
#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/catalog.h"
#include "admin/events.h"
#include "admin/page.h"
#include "object/clock.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/method_limits.h"
#include "object/quota.h"
#include "object/sweep.h"

static struct admin_spaces *spaces_of(struct cairn_worker *worker)
{
    return &worker->node->admin->spaces;
}

/* --- the list --- */

/* Where it is, or would be. */
static uint32_t place_of(const struct admin_spaces *spaces, struct cairn_bytes name)
{
    uint32_t low = 0, high = spaces->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (cairn_bytes_compare(spaces->list[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct space *find(const struct admin_spaces *spaces, struct cairn_bytes name)
{
    uint32_t at = place_of(spaces, name);

    return at < spaces->count && cairn_bytes_equal(spaces->list[at]->name, name) ? spaces->list[at] : NULL;
}

static void enter(struct admin_spaces *spaces, struct space *space)
{
    uint32_t at = place_of(spaces, space->name);

    if ((spaces->count & (spaces->count - 1)) == 0)
        spaces->list = cairn_realloc(spaces->list, (spaces->count ? 2 * spaces->count : 1) * sizeof *spaces->list);
    memmove(&spaces->list[at + 1], &spaces->list[at], (spaces->count - at) * sizeof *spaces->list);
    spaces->list[at] = space;
    spaces->count++;
    space->recorded = true;
}

static void leave(struct admin_spaces *spaces, struct space *space)
{
    uint32_t at = place_of(spaces, space->name);

    assert(at < spaces->count && spaces->list[at] == space);
    memmove(&spaces->list[at], &spaces->list[at + 1], (--spaces->count - at) * sizeof *spaces->list);
    /* As `enter` wants it, which makes room when the count is a power of two. */
    spaces->list = cairn_realloc(spaces->list, 2 * (size_t)(spaces->count + 1) * sizeof *spaces->list);
    space->recorded = false;
}

/* --- opening --- */

struct space *spaces_load(struct cairn_node *node, struct cairn_bytes name)
{
    struct space *space = spaces_intern(&node->spaces, name), *payer = space_payer(space);

    if (!payer->recorded)
        enter(&node->admin->spaces, payer);
    space_gate(payer, SPACE_GONE, payer->removing);
    return space;
}

static void set_recorded(struct space *space, const uint64_t limits[SPACE_LIMITS])
{
    for (int i = 0; i < SPACE_LIMITS; i++)
        atomic_store_explicit(&space->recorded_limits[i], limits[i], memory_order_relaxed);
}

static void set_removing(struct admin_spaces *spaces, struct space *space, bool removing)
{
    spaces->removing += removing;
    spaces->removing -= space->removing;
    space->removing = removing;
}

bool spaces_load_value(struct cairn_node *node, struct space *space, struct cairn_bytes value)
{
    uint64_t limits[SPACE_LIMITS];
    bool removing;

    if (!quota_read(value, &space->created_ms, &removing, limits))
        return false;
    set_removing(&node->admin->spaces, space, removing);
    space_gate(space, SPACE_GONE, removing);
    set_recorded(space, limits);
    quota_apply(space);
    return true;
}

void spaces_close(struct cairn_node *node)
{
    free(node->admin->spaces.list);
    node->admin->spaces = (struct admin_spaces){0};
}

/* --- answers --- */

static void add_meter(struct cairn_worker *worker, const struct space *space, struct cairn_buf *to)
{
    struct space_usage usage;

    quota_usage(space, worker->node->options.workers, &usage);
    cairn_value_add_list(to, 11);
    cairn_value_add_int(to, (int64_t)usage.metered[CAIRN_METERED_INVOCATIONS]);
    cairn_value_add_int(to, (int64_t)(usage.metered[CAIRN_METERED_CPU_NS] / 1000));
    cairn_value_add_int(to, (int64_t)usage.refused);
    cairn_value_add_int(to, (int64_t)usage.connections);
    cairn_value_add_int(to, usage.job_bytes);
    cairn_value_add_int(to, (int64_t)usage.operations);
    cairn_value_add_int(to, usage.kept.bytes);
    cairn_value_add_int(to, usage.kept.objects);
    cairn_value_add_int(to, (int64_t)usage.instances);
    cairn_value_add_int(to, usage.kept.messages);
    cairn_value_add_int(to, usage.kept.message_bytes);
}

static uint64_t recorded(const struct space *space, int limit)
{
    return stat_get(&space->recorded_limits[limit]);
}

static void add_item(struct cairn_worker *worker, const struct space *space, struct cairn_buf *to)
{
    cairn_value_add_list(to, 6);
    cairn_value_add_bytes(to, space->name);
    cairn_value_add_int(to, (int64_t)space->created_ms);
    cairn_value_add_int(to, catalog_module_count(deploy_committed(worker), space));
    cairn_value_add_list(to, SPACE_LIMITS);
    for (int i = 0; i < SPACE_LIMITS; i++)
        cairn_value_add_int(to, (int64_t)recorded(space, i));
    add_meter(worker, space, to);
    cairn_value_add_int(to, space->removing);
}

static void answer_missing(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;

    space_missing(inv->request->name, &err);
    set_error(inv, CAIRN_ENOTFOUND, err.text);
    inv->depends = spaces_of(worker)->record;
    invocation_end(worker, inv);
}

static void answer_refused(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code,
                           const struct cairn_err *err)
{
    set_error(inv, code, err->text);
    inv->depends = spaces_of(worker)->record;
    invocation_end(worker, inv);
}

/* --- making and removing --- */

/* `limits` NULL: the namespace goes. */
static enum cairn_code record(struct cairn_worker *worker, const struct space *space, const uint64_t *limits,
                              bool removing, struct cairn_err *err)
{
    struct shard *system = &worker->shards[worker->node->shard_count];
    struct cairn_buf key = {0}, value = {0};
    struct overlay overlay = {0};
    enum cairn_code code;

    overlay_reset(&overlay, system->engine);
    cairn_buf_u8(&key, KEY_SPACE);
    cairn_buf_add(&key, space->name.data, space->name.size);
    if (limits) {
        quota_write(&value, space->created_ms, removing, limits);
        overlay_put(&overlay, cairn_buf_bytes(&key), cairn_buf_bytes(&value));
    } else {
        overlay_remove(&overlay, cairn_buf_bytes(&key));
    }
    code = shard_commit_own(worker, system, &overlay, limits ? "namespace" : "namespace removed",
                            &spaces_of(worker)->record, err);
    cairn_buf_done(&key);
    cairn_buf_done(&value);
    overlay_done(&overlay);
    return code == CAIRN_EFULL ? cairn_while(err, "recording the namespace; make room on the disk and try again")
                               : code;
}

static enum cairn_code being_removed(const struct space *space, struct cairn_err *err)
{
    return cairn_fail(
        err, CAIRN_ECONFLICT,
        "the namespace %.*s is being removed, with all that it has; `cairn namespaces show %.*s` tells what "
        "is left",
        (int)space->name.size, (const char *)space->name.data, (int)space->name.size, (const char *)space->name.data);
}

enum cairn_code spaces_check_deploy(const struct space *space, struct cairn_err *err)
{
    if (!space->recorded)
        return space_missing(space->name, err);
    return space->removing ? being_removed(space, err) : CAIRN_OK;
}

static enum cairn_code check_create(struct cairn_worker *worker, struct cairn_bytes name, struct cairn_err *err)
{
    struct space *before = spaces_find(&worker->node->spaces, name);

    if (before && before->removing)
        return being_removed(before, err);
    if (before && before->recorded)
        return cairn_fail(err, CAIRN_ECONFLICT, "there is a namespace %.*s already", (int)name.size,
                          (const char *)name.data);
    if (before && space_is_open(before))
        return cairn_fail(err, CAIRN_ECONFLICT, "the namespace %.*s is being removed; try again in a moment",
                          (int)name.size, (const char *)name.data);
    if (!sweep_is_over(worker->node, before && space_life(before)))
        return cairn_fail(
            err, CAIRN_ECONFLICT,
            "messages of a namespace that was removed are being dropped, maybe of one with the name %.*s; "
            "try again in a moment",
            (int)name.size, (const char *)name.data);
    if (spaces_of(worker)->count >= SPACES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "the node has %d namespaces, and may have no more: remove some that are not needed",
                          SPACES_MAX);
    if (!before && worker->node->spaces.count >= SPACES_EVER_MAX)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "%d names of namespaces have been used since the node's start, and no more may be: restart "
                          "the node",
                          SPACES_EVER_MAX);
    return CAIRN_OK;
}

/* The request's limits over those of before; checked. */
static void read_limits(const struct cairn_request *request, uint64_t limits[SPACE_LIMITS])
{
    struct cairn_reader r = cairn_reader(request->body);

    while (cairn_reader_left(&r)) {
        uint8_t limit = cairn_read_u8(&r);

        limits[limit] = cairn_read_varint(&r);
    }
}

static void answer_item(struct cairn_worker *worker, struct invocation *inv, const struct space *space)
{
    add_item(worker, space, &inv->result);
    inv->depends = spaces_of(worker)->record;
    inv->effects = CAIRN_EFFECTS_SOME;
    invocation_end(worker, inv);
}

static void receive_create(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct cairn_bytes name = inv->request->name;
    struct cairn_err err;
    enum cairn_code code = check_create(worker, name, &err);
    uint64_t limits[SPACE_LIMITS] = {0};
    struct space *space = NULL;

    if (code == CAIRN_OK) {
        space = spaces_intern(&worker->node->spaces, name);
        space->created_ms = (uint64_t)worker_now_ms(worker);
        read_limits(inv->request, limits);
        code = record(worker, space, limits, false, &err);
    }
    if (code != CAIRN_OK) {
        answer_refused(worker, inv, code, &err);
        return;
    }
    enter(spaces_of(worker), space);
    set_recorded(space, limits);
    answer_item(worker, inv, space);
}

/* What `default` cannot be limited in. */
static enum cairn_code check_default(struct cairn_worker *worker, const struct space *space,
                                     const uint64_t limits[SPACE_LIMITS], struct cairn_err *err)
{
    if (space != worker->node->spaces.first)
        return CAIRN_OK;
    if (limits[SPACE_CONNECTIONS])
        return cairn_fail(err, CAIRN_EINVAL,
                          "all connections begin in the namespace %s: `cairn serve --connections` limits their number",
                          SPACE_DEFAULT);
    if (limits[SPACE_BYTES] || limits[SPACE_OBJECTS] || limits[SPACE_MESSAGES] || limits[SPACE_MESSAGE_BYTES])
        return cairn_fail(err, CAIRN_EINVAL,
                          "what the namespace %s keeps is not counted, and has no limit: put what is to have one into "
                          "a namespace of its own",
                          SPACE_DEFAULT);
    return CAIRN_OK;
}

static void receive_set(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct space *space = find(spaces_of(worker), inv->request->name);
    uint64_t limits[SPACE_LIMITS];
    struct cairn_err err;
    enum cairn_code code;

    if (!space) {
        answer_missing(worker, inv);
        return;
    }
    for (int i = 0; i < SPACE_LIMITS; i++)
        limits[i] = recorded(space, i);
    read_limits(inv->request, limits);
    code = space->removing ? being_removed(space, &err) : check_default(worker, space, limits, &err);
    if (code == CAIRN_OK)
        code = record(worker, space, limits, false, &err);
    if (code != CAIRN_OK) {
        answer_refused(worker, inv, code, &err);
        return;
    }
    set_recorded(space, limits);
    answer_item(worker, inv, space);
}

static enum cairn_code check_remove(struct cairn_worker *worker, const struct space *space, struct cairn_err *err)
{
    const struct module_entry *m = catalog_module_in(deploy_committed(worker), space);
    const struct space *compartment = spaces_find_compartment(&worker->node->spaces, space);
    int size = (int)space->name.size;
    const char *name = (const char *)space->name.data;

    if (space == worker->node->spaces.first)
        return cairn_fail(err, CAIRN_EINVAL, "the namespace %s is always there", SPACE_DEFAULT);
    if (space->removing)
        return being_removed(space, err);
    if (m)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "the namespace %.*s is not empty, it has the module %.*s for example: `cairn namespaces rm "
                          "%.*s --drop` removes it with all that it has",
                          size, name, (int)m->name.size, (const char *)m->name.data, size, name);
    if (compartment && catalog_module_in(deploy_committed(worker), compartment))
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "ZooKeeper's clients have used the namespace %.*s: `cairn namespaces rm %.*s --drop` removes "
                          "it with all that they keep there",
                          size, name, size, name);
    if (!space_is_open(space) || deploys_any_in(worker, space) || (compartment && deploys_any_in(worker, compartment)))
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "a module is being deployed to the namespace %.*s, or it is just being created; try again in "
                          "a moment",
                          size, name);
    return CAIRN_OK;
}

static void receive_remove(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct space *space = find(spaces_of(worker), inv->request->name);
    struct cairn_err err;
    enum cairn_code code;

    if (!space) {
        answer_missing(worker, inv);
        return;
    }
    code = check_remove(worker, space, &err);
    if (code == CAIRN_OK)
        code = record(worker, space, NULL, false, &err);
    if (code != CAIRN_OK) {
        answer_refused(worker, inv, code, &err);
        return;
    }
    leave(spaces_of(worker), space);
    cairn_value_add_nil(&inv->result);
    inv->depends = spaces_of(worker)->record;
    inv->effects = CAIRN_EFFECTS_SOME;
    invocation_end(worker, inv);
}

static enum cairn_code check_remove_all(struct cairn_worker *worker, const struct space *space, struct cairn_err *err)
{
    if (space == worker->node->spaces.first)
        return cairn_fail(err, CAIRN_EINVAL, "the namespace %s is always there", SPACE_DEFAULT);
    if (!space->removing && !space_is_open(space))
        return cairn_fail(err, CAIRN_ECONFLICT, "the namespace %.*s is just being created; try again in a moment",
                          (int)space->name.size, (const char *)space->name.data);
    return CAIRN_OK;
}

/* Asked for again it answers with what is left. */
static void receive_remove_all(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct space *space = find(spaces_of(worker), inv->request->name);
    uint64_t limits[SPACE_LIMITS];
    struct cairn_err err;
    enum cairn_code code;

    if (!space) {
        answer_missing(worker, inv);
        return;
    }
    for (int i = 0; i < SPACE_LIMITS; i++)
        limits[i] = recorded(space, i);
    code = check_remove_all(worker, space, &err);
    if (code == CAIRN_OK && !space->removing)
        code = record(worker, space, limits, true, &err);
    if (code != CAIRN_OK) {
        answer_refused(worker, inv, code, &err);
        return;
    }
    if (!space->removing)
        inv->effects = CAIRN_EFFECTS_SOME;
    set_removing(spaces_of(worker), space, true);
    add_item(worker, space, &inv->result);
    inv->depends = spaces_of(worker)->record;
    invocation_end(worker, inv);
}

struct space *spaces_next_removed(struct cairn_worker *worker)
{
    const struct admin_spaces *spaces = spaces_of(worker);

    for (uint32_t i = 0; i < spaces->count; i++)
        if (spaces->list[i]->removing && !space_is_open(spaces->list[i]))
            return spaces->list[i];
    return NULL;
}

void spaces_leave(struct cairn_worker *worker, struct space *space, struct dependency record_of)
{
    spaces_of(worker)->record = record_of;
    set_removing(spaces_of(worker), space, false);
    leave(spaces_of(worker), space);
}

void spaces_tell_gone(struct cairn_node *node, struct space *space)
{
    atomic_fetch_add_explicit(&space->life, 1, memory_order_relaxed);
    space_gate(space, SPACE_GONE, true);
    sweep_removed(node);
}

/* The record may be acknowledged: from here on all see it. */
static void told(struct cairn_worker *worker, const struct invocation *inv)
{
    struct space *space;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));

    if (cairn_value_read(&r).kind != CAIRN_VALUE_ERROR) {
        space = spaces_find(&worker->node->spaces, inv->request->name);
        quota_apply(space);
        if (inv->operation == &space_set_operation)
            method_limits_spread(worker, space);
        if (inv->operation == &space_create_operation)
            space_gate(space, SPACE_GONE, false);
        if (inv->operation == &space_remove_operation)
            spaces_tell_gone(worker->node, space);
    }
    events_reply(worker, inv);
}

/* From here on nothing comes into the namespace, and worker 0 goes on (removals.h).  What only asks again changes
 * nothing: all may be over, and there may be another of that name. */
static void told_remove_all(struct cairn_worker *worker, const struct invocation *inv)
{
    if (inv->effects == CAIRN_EFFECTS_SOME)
        space_gate(spaces_find(&worker->node->spaces, inv->request->name), SPACE_GONE, true);
    if (inv->effects == CAIRN_EFFECTS_SOME || inv->failed)
        events_reply(worker, inv);
}

/* --- listing --- */

static void answer_page(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    const struct admin_spaces *spaces = spaces_of(worker);
    struct cairn_bytes cursor = inv->request->cursor;
    uint32_t at = place_of(spaces, cursor);
    struct cairn_buf items = {0};
    uint64_t count = 0;
    struct page page;

    if (cursor.size && at < spaces->count && cairn_bytes_equal(spaces->list[at]->name, cursor))
        at++;
    page_begin(&page, worker);
    for (; at < spaces->count && !(count && page_full(&page, count, items.size)); at++, count++)
        add_item(worker, spaces->list[at], &items);
    cairn_value_add_list(&inv->result, 2);
    cairn_value_add_list(&inv->result, count);
    cairn_buf_add(&inv->result, items.data, items.size);
    cairn_buf_done(&items);
    if (at < spaces->count)
        cairn_value_add_bytes(&inv->result, spaces->list[at - 1]->name);
    else
        cairn_value_add_nil(&inv->result);
    inv->depends = spaces->record;
    invocation_end(worker, inv);
}

static void receive_list(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    const struct space *space;

    if (!inv->request->name.size) {
        message->receive = answer_page;
        worker_await_turn(worker, message);
        return;
    }
    space = find(spaces_of(worker), inv->request->name);
    if (!space) {
        answer_missing(worker, inv);
        return;
    }
    add_item(worker, space, &inv->result);
    inv->depends = spaces_of(worker)->record;
    invocation_end(worker, inv);
}

static void submit_list(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->peek && !inv->request->name.size) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
        return;
    }
    submit_to_first(worker, inv);
}

static enum cairn_code check_name(const struct cairn_request *request, struct cairn_err *err)
{
    if (space_name_valid(request->name))
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_EINVAL,
                      "a namespace's name has 1 to %d lower-case letters, digits, - and _, and begins with a letter",
                      SPACE_NAME_BYTES_MAX);
}

static enum cairn_code check_limits(const struct cairn_request *request, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(request->body);
    enum cairn_code code = check_name(request, err);

    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint8_t limit = cairn_read_u8(&r);
        uint64_t value = cairn_read_varint(&r);

        if (r.bad || limit >= SPACE_LIMITS)
            code = cairn_fail(err, CAIRN_EINVAL, "the limits of the namespace cannot be read");
        else if (value > quota_most((enum space_limit)limit))
            code = cairn_fail(err, CAIRN_EINVAL, "%s: at most %llu", quota_name((enum space_limit)limit),
                              (unsigned long long)quota_most((enum space_limit)limit));
    }
    return code;
}

static enum cairn_code check_list(const struct cairn_request *request, struct cairn_err *err)
{
    return request->name.size ? check_name(request, err) : CAIRN_OK;
}

const struct operation space_set_operation = {.name = "namespace_set",
                                              .check = check_limits,
                                              .submit = submit_to_first,
                                              .receive = receive_set,
                                              .answer = hold_answer,
                                              .told = told};

const struct operation space_create_operation = {.name = "namespace_create",
                                                 .check = check_limits,
                                                 .submit = submit_to_first,
                                                 .receive = receive_create,
                                                 .answer = hold_answer,
                                                 .told = told};

const struct operation space_remove_operation = {.name = "namespace_remove",
                                                 .check = check_name,
                                                 .submit = submit_to_first,
                                                 .receive = receive_remove,
                                                 .answer = hold_answer,
                                                 .told = told};

const struct operation space_remove_all_operation = {.name = "namespace_remove_all",
                                                     .check = check_name,
                                                     .submit = submit_to_first,
                                                     .receive = receive_remove_all,
                                                     .answer = hold_answer,
                                                     .told = told_remove_all};

const struct operation spaces_operation = {
    .name = "namespaces", .check = check_list, .submit = submit_list, .receive = receive_list, .answer = hold_answer};
