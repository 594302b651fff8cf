/* settle_send.c - the message by which a method settles a promise, and where it goes. */
#include "object/messages.h"
#include "object/settle.h"
#include "object/span.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

bool settle_shard(const struct cairn_node *node, struct cairn_bytes id, uint32_t *ret_shard)
{
    struct promise_id promise;

    if (!promise_id_read(id, &promise) || promise.shard >= node->shard_count)
        return false;
    *ret_shard = promise.shard;
    return true;
}

enum cairn_code settle_send(struct invocation *inv, struct cairn_bytes id, struct cairn_bytes value,
                            struct cairn_err *err)
{
    struct posted posted = {.flags = POSTED_SETTLE,
                            .space = inv->type->space->name,
                            .type = cairn_str("promise"),
                            .id = id,
                            .method = cairn_str("settle"),
                            .args = value,
                            .from_type = inv->type->name,
                            .from_id = object_id(inv->object),
                            .parent = {.job = invocation_job(inv)->id, .span = span_id(inv)}};

    return messages_send(inv, &posted, 0, err);
}
