/* events.h - whom it is told what has changed.
 *
 * The events of one commit go to each link's worker as one message, before the commit's own result leaves, and there
 * they wait like a reply until its record is durable:
 *
 *   per event: u8 type, u64 zxid, u16 size, path, u16 size, ACL, u32 count, as many {u64 session, u32 generation}
 *
 * The ACL is that of the event's node: a link whose identities may not read it is not told (CVE-2024-23944).  The
 * link's worker compares them, as it knows what the connection has proved by then; the watch has fired all the same.
 *
 * Threads: the owner's, but for the end of the way.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_EVENTS_H
#define CAIRN_KEEPER_EVENTS_H

#include "keeper/tree.h"

/* Of a worker: what is gathered for another one. */
struct keeper_batch {
    struct cairn_buf bytes;
    uint64_t stamp;  /* of the event that is the last in it */
    size_t count_at; /* where that one's count is */
};

/* One event, of one session, or of those that watch the path in these tables. */
void keeper_event_one(struct keeper_session *session, enum keeper_event_type type, uint64_t zxid,
                      struct cairn_bytes path, struct cairn_bytes acl);
void keeper_event_fire(struct keeper_tree *tree, enum keeper_event_type type, uint64_t zxid, struct cairn_bytes path,
                       struct cairn_bytes acl, unsigned tables);
/* What was gathered leaves. */
void keeper_events_send(struct keeper_tree *tree);
void keeper_events_free(struct keeper_worker *kw);

#endif
