/* resp_maxmemory.h - what CONFIG and INFO tell and set of the cache.
 * Threads: the session's.  Layer: server (private). */
#ifndef CAIRN_SERVER_RESP_MAXMEMORY_H
#define CAIRN_SERVER_RESP_MAXMEMORY_H

#include "server/resp_internal.h"

/* CONFIG SET maxmemory and maxmemory-policy, all or none. */
void cairn_resp_config_set(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
/* Lines of INFO; of a backend that has a cache. */
void cairn_resp_info_cache_memory(struct cairn_buf *to, const struct cairn_backend *backend);
void cairn_resp_info_cache_stats(struct cairn_buf *to, const struct cairn_backend *backend);
/* Of the session's namespace; none without a cache. */
void cairn_resp_info_keyspace(struct cairn_buf *to, struct cairn_resp_session *resp);

#endif
