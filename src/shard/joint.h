/* joint.h - one record of several shards, so that what it has of them is there whole or not at all.
 *
 * Each shard's owner enters its shard and encodes its part; the parts are joined anywhere into one record, which is
 * appended once; then each owner applies its part.
 *
 *   enter (each owner) --> append (one thread, once) --> apply (each owner)
 *        |                        |
 *        +------------------------+--> leave (each owner), nothing happened
 *
 * From enter to apply or leave no checkpoint and no version of the shard begins: each of them stands for all records
 * below a position, and the shard may lack one that has a position already.  Other commits to the shard may be appended
 * and applied meanwhile, so that two records with the same key must not overlap: the caller sees to that.
 * Only for shards that share a log.  Bytes: docs/formats/commit.md.
 * Threads: as said at each.  Layer: shard. */
#ifndef CAIRN_SHARD_JOINT_H
#define CAIRN_SHARD_JOINT_H

#include "shard/shard.h"

/* The shard's owner.  False: a checkpoint or a version waits for those that have entered to be gone; to be asked again
 * after cairn_shard_step. */
bool cairn_joint_enter(struct cairn_shard *shard);
void cairn_joint_leave(struct cairn_shard *shard);
/* The shard's part, behind what `to` has. */
void cairn_joint_encode(struct cairn_shard *shard, struct cairn_bytes note, const struct cairn_write *writes,
                        size_t count, struct cairn_buf *to);
/* For log claims: the body bytes of a record with parts of `bytes` in all. */
size_t cairn_joint_record_bytes(size_t bytes);
/* Any owner; its shard only tells which log.  Each piece holds whole parts, `count` of them in all.  The caller has
 * claimed cairn_joint_record_bytes in one record, which is used up whole.  CAIRN_EUNAVAILABLE: nothing was appended. */
enum cairn_code cairn_joint_append(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_bytes *pieces,
                                   size_t piece_count, size_t count, uint64_t *ret_end, struct cairn_err *err);
/* The shard's owner: what its part says, of the record that ends there; leaves. */
void cairn_joint_apply(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                       uint64_t end);

#endif
