/* exports.h - the export of a running node, page by page, as a client asks for them (docs/reference/http.md).
 *
 * One at a time.  While it is open the store keeps what it needs (history/moment.h), so one that no client has asked
 * for in EXPORT_IDLE_NS is given up. Threads: pages are made by one thread, which may block; any may look and close.
 * Layer: server. */
#ifndef CAIRN_SERVER_EXPORTS_H
#define CAIRN_SERVER_EXPORTS_H

#include "shard/shard.h"

struct cairn_exports;

struct cairn_exports *cairn_exports_create(struct cairn_store *store, struct cairn_clock *clock);
/* Appends an encoded value: [id, 1 if it was the last page, bytes], or an error.  Id 0 begins one; the engine in memory
 * takes no version, and others need one: without it the answer is [0, 0, ""].  Pages are asked for in order: 0, 1,
 * ...  Of one namespace, or, if that is empty, of all. */
void cairn_exports_page(struct cairn_exports *exports, uint64_t id, uint32_t page, uint64_t version,
                        struct cairn_bytes space, struct cairn_buf *to);
/* Gives up the one that no client asks for; now and then. */
void cairn_exports_look(struct cairn_exports *exports);
/* No page is made any more.  Before the store is closed.  Returns NULL; accepts NULL. */
struct cairn_exports *cairn_exports_destroy(struct cairn_exports *exports);

#endif
