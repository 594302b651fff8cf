#include "keeper/write.h"

#include <stdlib.h>

#include "cairn/keeper_layout.h"
#include "keeper/puts.h"
#include "keeper/room.h"

/* --- calls ---------------------------------------------------------------------------------------- */

static void replied(struct cairn_request *request, struct cairn_bytes value)
{
    struct keeper_call *call = (struct keeper_call *)request;

    cairn_list_remove(&call->all);
    if (call->done)
        call->done(call, value);
    cairn_buf_done(&call->args);
    free(call);
}

static struct keeper_call *call_new(struct cairn_worker *worker, struct space *compartment, enum cairn_op op,
                                    keeper_done *done, void *context)
{
    struct keeper_call *call = cairn_alloc_zeroed(1, sizeof *call);

    call->request = (struct cairn_request){.op = op, .space = compartment, .reply = replied};
    call->worker = worker;
    call->done = done;
    call->context = context;
    cairn_list_push_back(&keeper_worker_of(worker)->calls, &call->all);
    return call;
}

static struct keeper_call *session_call(struct cairn_worker *worker, struct space *compartment, uint64_t session,
                                        const char *method, keeper_done *done, void *context)
{
    struct keeper_call *call = call_new(worker, compartment, CAIRN_OP_INVOKE, done, context);

    keeper_id_hex(session, call->id);
    call->request.type = cairn_str("Session");
    call->request.id = cairn_bytes(call->id, sizeof call->id);
    call->request.method = cairn_str(method);
    return call;
}

static void submit(struct keeper_call *call)
{
    call->request.args = cairn_buf_bytes(&call->args);
    cairn_worker_submit(call->worker, &call->request);
}

static void add_u32(struct keeper_call *call, uint32_t value)
{
    cairn_args_add(&call->args, cairn_bytes(&value, sizeof value));
}

static void add_u64(struct keeper_call *call, uint64_t value)
{
    cairn_args_add(&call->args, cairn_bytes(&value, sizeof value));
}

void keeper_call_deploy(struct cairn_worker *worker, struct space *compartment, keeper_done *done, void *context)
{
    struct keeper_call *call = call_new(worker, compartment, CAIRN_OP_DEPLOY, done, context);

    call->request.name = cairn_str("keeper");
    call->request.body = worker->node->keeper->module;
    submit(call);
}

void keeper_call_open(struct cairn_worker *worker, struct space *compartment, uint64_t session,
                      struct cairn_bytes password, uint32_t timeout_ms, uint64_t epoch, keeper_done *done,
                      void *context)
{
    struct keeper_call *call = session_call(worker, compartment, session, "open", done, context);

    cairn_args_add(&call->args, password);
    add_u32(call, timeout_ms);
    add_u64(call, epoch);
    submit(call);
}

void keeper_call_attach(struct cairn_worker *worker, struct space *compartment, uint64_t session,
                        struct cairn_bytes password, keeper_done *done, void *context)
{
    struct keeper_call *call = session_call(worker, compartment, session, "attach", done, context);

    cairn_args_add(&call->args, password);
    add_u32(call, 0);
    submit(call);
}

void keeper_call_close(struct cairn_worker *worker, struct space *compartment, uint64_t session, uint32_t generation,
                       uint64_t epoch, keeper_done *done, void *context)
{
    struct keeper_call *call = session_call(worker, compartment, session, "close", done, context);

    add_u32(call, generation);
    add_u64(call, epoch);
    submit(call);
}

void keeper_call_begin(struct cairn_worker *worker, struct space *compartment, uint64_t incarnation, uint64_t restores,
                       uint64_t epoch, keeper_done *done, void *context)
{
    struct keeper_call *call = call_new(worker, compartment, CAIRN_OP_INVOKE, done, context);
    struct cairn_keeper_lineage lineage = {incarnation, restores};

    call->request.type = cairn_str("Tree");
    call->request.id = cairn_str(CAIRN_KEEPER_TREE_ID);
    call->request.method = cairn_str("begin");
    cairn_args_add(&call->args, cairn_bytes(&lineage, sizeof lineage));
    add_u64(call, epoch);
    submit(call);
}

/* u8 kind, u32 size, the hash. */
static void add_blob(struct keeper_call *call, size_t bytes, const uint8_t *hash)
{
    uint8_t arg[1 + 4 + CAIRN_KEEPER_HASH_BYTES] = {CAIRN_KEEPER_BLOB};

    cairn_put_u32(arg + 1, (uint32_t)bytes);
    memcpy(arg + 5, hash, CAIRN_KEEPER_HASH_BYTES);
    cairn_args_add(&call->args, cairn_bytes(arg, sizeof arg));
}

/* u8 kind, the bytes; hash NULL: they are in no blob. */
static void add_data(struct keeper_call *call, struct cairn_bytes data, const uint8_t *hash)
{
    uint8_t head[5];

    if (hash) {
        add_blob(call, data.size, hash);
        return;
    }
    cairn_put_u32(head, (uint32_t)(1 + data.size));
    head[4] = data.data ? CAIRN_KEEPER_INLINE : CAIRN_KEEPER_NULL;
    cairn_buf_add(&call->args, head, sizeof head);
    cairn_buf_add(&call->args, data.data, data.size);
}

/* As on the wire: with their count. */
static void add_identities(struct keeper_call *call, struct cairn_bytes identities)
{
    struct cairn_reader r = cairn_reader(identities);
    uint32_t strings = 0;
    uint8_t head[8];

    for (; cairn_reader_left(&r) && !r.bad; strings++)
        cairn_read_bytes(&r, __builtin_bswap32(cairn_read_u32(&r)));
    cairn_put_u32(head, (uint32_t)(4 + identities.size));
    cairn_put_u32(head + 4, __builtin_bswap32(strings / 2));
    cairn_buf_add(&call->args, head, sizeof head);
    cairn_buf_add(&call->args, identities.data, identities.size);
}

static void add_part(struct keeper_call *call, const struct keeper_part *part, const uint8_t *hash)
{
    add_u32(call, (uint32_t)part->op);
    cairn_args_add(&call->args, part->path);
    switch (part->op) {
    case KEEPER_CREATE:
    case KEEPER_CREATE2:
    case KEEPER_CREATE_CONTAINER:
    case KEEPER_CREATE_TTL:
        add_data(call, part->data, hash);
        cairn_args_add(&call->args, part->acl);
        add_u32(call, (uint32_t)part->flags);
        if (part->op == KEEPER_CREATE_TTL)
            add_u64(call, (uint64_t)part->ttl_ms);
        return;
    case KEEPER_SET_DATA:
        add_data(call, part->data, hash);
        add_u32(call, (uint32_t)part->version);
        return;
    case KEEPER_SET_ACL:
        cairn_args_add(&call->args, part->acl);
        add_u32(call, (uint32_t)part->version);
        return;
    default: /* delete, check */
        add_u32(call, (uint32_t)part->version);
        return;
    }
}

enum { NUMBER_AT = 4 + 4 + 4 }; /* behind the generation, and its own size */

struct keeper_call *keeper_call_writes(struct keeper_task *task, keeper_done *done)
{
    struct keeper_call *call = session_call(task->worker, task->home->compartment, task->session, "write", done, task);

    add_u32(call, task->generation);
    add_u64(call, 0); /* it comes with the last */
    add_u64(call, task->link->epoch);
    add_identities(call, task->ask->identities);
    call->count_at = call->args.size + 4;
    add_u32(call, 0);
    return call;
}

void keeper_call_add(struct keeper_call *call, const struct keeper_task *task)
{
    const struct keeper_ask *ask = task->ask;

    add_u32(call, ask->op == KEEPER_MULTI ? ask->part_count : 0);
    for (uint32_t i = 0; i < ask->part_count; i++)
        add_part(call, &ask->parts[i], keeper_puts_hash(task->puts, i));
    call->count++;
}

void keeper_call_submit(struct keeper_call *call, uint64_t number)
{
    cairn_put_u64(call->args.data + NUMBER_AT, number);
    cairn_put_u32(call->args.data + call->count_at, call->count);
    submit(call);
}

void keeper_calls_free(struct keeper_worker *kw)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&kw->calls))) {
        struct keeper_call *call = cairn_container(l, struct keeper_call, all);

        cairn_buf_done(&call->args);
        free(call);
    }
}

bool keeper_commit_args(struct cairn_bytes args, uint64_t *ret_session, uint64_t *ret_number)
{
    struct cairn_reader r = cairn_reader(args);

    if (cairn_read_u32(&r) != 8)
        return false;
    *ret_session = cairn_read_u64(&r);
    if (cairn_read_u32(&r) != 8)
        return false;
    *ret_number = cairn_read_u64(&r);
    return !r.bad;
}

/* --- outcomes ------------------------------------------------------------------------------------- */

static void error_text(const struct cairn_value *error, char to[CAIRN_ERR_TEXT_BYTES])
{
    size_t size = error->bytes.size < CAIRN_ERR_TEXT_BYTES - 1 ? error->bytes.size : CAIRN_ERR_TEXT_BYTES - 1;

    if (size)
        memcpy(to, error->bytes.data, size);
    to[size] = 0;
}

const char *keeper_error_text(struct cairn_bytes value, char to[CAIRN_ERR_TEXT_BYTES])
{
    struct cairn_reader r = cairn_reader(value);
    struct cairn_value error = cairn_value_read(&r);

    if (error.kind != CAIRN_VALUE_ERROR)
        return NULL;
    error_text(&error, to);
    return to;
}

/* "CODE INDEX ZXID" of an error that the module has made. */
static void read_error(struct keeper_outcome *outcome)
{
    char *at = outcome->text;

    outcome->by_module = true;
    outcome->error = (int32_t)strtol(at, &at, 10);
    outcome->part = (uint32_t)strtoul(at, &at, 10);
    outcome->zxid = strtoull(at, &at, 10);
    if (!outcome->error)
        outcome->error = -1;
}

void keeper_outcome_read(const struct keeper_call *call, struct cairn_bytes value, struct keeper_outcome *ret)
{
    struct cairn_reader r = cairn_reader(value);

    keeper_outcomes_next(call, &r, ret);
    ret->rest = r;
}

bool keeper_outcomes_begin(const struct keeper_call *call, struct cairn_bytes value, struct cairn_reader *ret_reader,
                           struct keeper_outcome *ret_outcome)
{
    struct cairn_value list;

    *ret_reader = cairn_reader(value);
    list = cairn_value_read(ret_reader);
    if (list.kind == CAIRN_VALUE_LIST && list.count == call->count)
        return true;
    keeper_outcome_read(call, value, ret_outcome);
    if (!ret_outcome->error) {
        ret_outcome->error = -1;
        ret_outcome->why = "Session.write has answered something else";
    }
    return false;
}

void keeper_outcomes_next(const struct keeper_call *call, struct cairn_reader *r, struct keeper_outcome *ret)
{
    struct cairn_value first = cairn_value_read(r);

    ret->error = 0;
    ret->part = UINT32_MAX;
    ret->by_module = false;
    ret->zxid = ret->count = 0;
    ret->why = NULL;
    if (first.kind == CAIRN_VALUE_ERROR) {
        error_text(&first, ret->text);
        if (cairn_bytes_equal(first.error, cairn_str("zk"))) {
            read_error(ret);
            return;
        }
        if (cairn_bytes_equal(first.error, cairn_str("expired"))) { /* Session.attach's */
            ret->by_module = true;
            ret->error = -112;
            return;
        }
        ret->error = call->request.effects == CAIRN_EFFECTS_NONE ? -1 : -4;
        ret->why = ret->text;
        return;
    }
    if (first.kind != CAIRN_VALUE_LIST || !first.count)
        return;
    ret->count = first.count - 1;
    ret->zxid = (uint64_t)cairn_value_read(r).integer;
}

bool keeper_outcome_attached(struct keeper_outcome *outcome, uint32_t *ret_generation, uint32_t *ret_timeout_ms)
{
    struct cairn_value timeout = cairn_value_read(&outcome->rest);

    *ret_generation = (uint32_t)outcome->zxid;
    *ret_timeout_ms = (uint32_t)timeout.integer;
    outcome->zxid = 0;
    return outcome->count == 1 && timeout.kind == CAIRN_VALUE_INT && !outcome->rest.bad;
}

/* Of a list: of bytes, what is not KEEPER_STAT_BYTES long, or is the first of two, is the path. */
static bool read_slot(struct cairn_reader *r, const struct keeper_part *part, struct keeper_slot *slot)
{
    struct cairn_value list = cairn_value_read(r);

    *slot = (struct keeper_slot){0};
    if (list.kind != CAIRN_VALUE_LIST)
        return list.kind == CAIRN_VALUE_NIL && !r->bad;
    for (uint64_t i = 0; i < list.count && !r->bad; i++) {
        struct cairn_value value = cairn_value_read(r);
        bool is_path = i == 0 && part->op != KEEPER_SET_DATA && part->op != KEEPER_SET_ACL;

        if (value.kind != CAIRN_VALUE_BYTES)
            return false;
        if (is_path)
            slot->path = value.bytes;
        else
            slot->stat = value.bytes;
    }
    return !r->bad && (!slot->stat.size || slot->stat.size == KEEPER_STAT_BYTES);
}

bool keeper_outcome_slots(const struct keeper_outcome *outcome, struct cairn_reader *r, const struct keeper_ask *ask,
                          struct keeper_slot *slots)
{
    if (outcome->count != ask->part_count)
        return false;
    for (uint32_t i = 0; i < ask->part_count; i++)
        if (!read_slot(r, &ask->parts[i], &slots[i]))
            return false;
    return true;
}
