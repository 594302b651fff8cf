/* joint.c - one record of several shards; see joint.h. */
#include "shard/joint.h"

#include <assert.h>
#include <stdlib.h>

#include "shard/shard_internal.h"

bool cairn_joint_enter(struct cairn_shard *shard)
{
    assert(shard->store->started);
    if (shard->joint_closed && (shard->joint_count > 0 || cairn_store_checkpoint_due(shard->store)))
        return false;
    shard->joint_closed = false;
    shard->joint_count++;
    shard_mark_dirty(shard); /* before the record has its position */
    return true;
}

void cairn_joint_leave(struct cairn_shard *shard)
{
    assert(shard->joint_count > 0);
    shard->joint_count--;
}

bool joint_lets_begin(struct cairn_shard *shard)
{
    shard->joint_closed = shard->joint_count > 0;
    return !shard->joint_closed;
}

size_t cairn_joint_record_bytes(size_t bytes)
{
    return JOINT_HEAD_BYTES_MAX + bytes;
}

enum cairn_code cairn_joint_append(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_bytes *pieces,
                                   size_t piece_count, size_t count, uint64_t *ret_end, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct cairn_bytes *parts = cairn_alloc((piece_count + 1) * sizeof *parts);
    uint8_t head[JOINT_HEAD_BYTES_MAX];
    uint64_t position;
    enum cairn_code code;

    parts[0] = cairn_bytes(head, joint_encode_head(head, wall_ms, count));
    memcpy(parts + 1, pieces, piece_count * sizeof *parts);
    if (store->tap && atomic_load(&store->tap->listens))
        code = store->tap->ops->append(store->tap, shard, parts, piece_count + 1, &position, ret_end, err);
    else
        code = shard->log->ops->append(shard->log, parts, piece_count + 1, &position, ret_end, err);
    if (code == CAIRN_OK)
        shard->log->ops->release(shard->log, sizeof head - parts[0].size, 0);
    free(parts);
    return code;
}

void cairn_joint_apply(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                       uint64_t end)
{
    /* Others may have been applied that were appended later. */
    shard_apply(shard, wall_ms, writes, count, end > shard->applied_end ? end : shard->applied_end);
    cairn_joint_leave(shard);
}
