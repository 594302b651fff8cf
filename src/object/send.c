#include "object/send.h"

#include <inttypes.h>
#include <stdio.h>

#include "object/hold.h"
#include "object/mailbox.h"
#include "object/messages.h"
#include "object/once.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum { QUOTA_RETRY_MS = 1000 };

static void receive(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct type *type = type_find(worker, inv->space, inv->type_name);
    struct method *method = type ? type_method(type, inv->method_name) : NULL;
    struct object *object;

    inv->worker = worker;
    cairn_list_push_back(&worker->live, &inv->live);
    if (worker->failed) {
        invocation_refuse(worker, inv, CAIRN_EUNAVAILABLE, "the log has failed: %s", worker->node->failure.text);
        return;
    }
    if (!mailbox_may_call(worker, inv, type, method))
        return;
    object = object_get(worker, worker_shard(worker, inv->shard), type->number | SEND_KEYS_BIT, inv->id);
    object_ref(worker, object);
    inv->object = object;
    inv->type = type_ref(type);
    inv->number = ++worker->invocation_count;
    if (object->outside_waiting >= worker->node->limits.mailbox) {
        invocation_refuse(worker, inv, CAIRN_EOVERLOAD, "%u messages wait to be sent to this object; try again later",
                          worker->node->limits.mailbox);
        return;
    }
    mailbox_enter(inv);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    uint32_t owner;

    if (inv->request->key.size)
        once_make(inv, inv->request->key);
    inv->shard = node_shard_of(worker->node, inv->space, inv->id);
    owner = node_owner(worker->node, inv->shard);
    if (owner == worker->index)
        receive(worker, &inv->message);
    else
        worker_send(worker, owner, &inv->message);
}

/* What stands in the way now may be gone another time: the key counts as never used then. */
static void run(struct invocation *inv)
{
    struct shard *shard = inv->object->shard;
    struct posted posted = {.space = inv->space->name,
                            .type = inv->type_name,
                            .id = inv->id,
                            .method = inv->method_name,
                            .number = shard_incarnation(shard) + 1,
                            .args = inv->args};
    char number[48];
    struct cairn_err err;
    enum cairn_code code = messages_send(inv, &posted, (int64_t)inv->request->delay_ms, &err);

    if (code != CAIRN_OK) {
        if (code == CAIRN_EQUOTA)
            inv->request->retry_ms = QUOTA_RETRY_MS;
        set_error(inv, code == CAIRN_EQUOTA ? code : CAIRN_EOVERLOAD, err.text);
        return;
    }
    snprintf(number, sizeof number, "%" PRIu32 "-%" PRIu64, shard->index, posted.number - 1);
    inv->result.size = 0;
    cairn_value_add_bytes(&inv->result, cairn_str(number));
}

const struct operation send_operation = {
    .name = "send",
    .aim = AIM_METHOD,
    .submit = submit,
    .receive = receive,
    .run = run,
    .leave = once_leave,
    .drop = once_drop,
    .answer = hold_answer,
};
