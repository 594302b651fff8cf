/* What CONFIG and INFO tell and set of the cache: its bound, its policy, its keys. */
#include <inttypes.h>

#include "base/size.h"
#include "object/space.h"
#include "server/resp_keys.h"
#include "server/resp_maxmemory.h"

/* --- CONFIG SET --- */

static bool refuse(struct cairn_resp_session *resp, const char *name, const char *why)
{
    cairn_resp_reply_error(resp, "ERR", "CONFIG SET failed (possibly related to argument '%s') - %s", name, why);
    return false;
}

static bool read_maxmemory(struct cairn_resp_session *resp, struct cairn_bytes word, uint64_t *ret_bytes)
{
    uint64_t most = resp->session.front->backend->cache_bytes;

    if (!cairn_size_parse(word, ret_bytes))
        return refuse(resp, "maxmemory", "argument must be a memory value");
    if (*ret_bytes > most)
        return refuse(resp, "maxmemory", "it is at most the node's --cache");
    if (*ret_bytes == 0)
        *ret_bytes = most;
    return true;
}

static bool read_policy(struct cairn_resp_session *resp, struct cairn_bytes word, enum cairn_cache_policy *ret_policy)
{
    *ret_policy = cairn_cache_policy_by_name(word);
    return *ret_policy < CAIRN_CACHE_POLICIES ||
           refuse(
               resp, "maxmemory-policy",
               "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
               "allkeys-lru, allkeys-lfu, allkeys-random, noeviction");
}

void cairn_resp_config_set(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_cache *cache = resp->session.front->backend->cache;
    enum cairn_cache_policy policy;
    uint64_t bytes_max;

    if (!cache) {
        cairn_resp_reply_error(
            resp, "ERR",
            "settings are flags of 'cairn serve'; on a node with --cache, CONFIG SET takes maxmemory "
            "and maxmemory-policy");
        return;
    }
    if (words->count < 4 || words->count % 2) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for 'config|set' command");
        return;
    }
    policy = cairn_cache_policy(cache);
    bytes_max = cairn_cache_bytes_max(cache);
    for (uint32_t i = 2; i < words->count; i += 2) {
        struct cairn_bytes name = cairn_resp_words_at(words, i), value = cairn_resp_words_at(words, i + 1);

        if (cairn_resp_word_is(name, "maxmemory")) {
            if (!read_maxmemory(resp, value, &bytes_max))
                return;
        } else if (cairn_resp_word_is(name, "maxmemory-policy")) {
            if (!read_policy(resp, value, &policy))
                return;
        } else {
            cairn_resp_reply_error(resp, "ERR", "Unknown option or number of arguments for CONFIG SET - '%.*s'",
                                   (int)(name.size < 128 ? name.size : 128), (const char *)name.data);
            return;
        }
    }
    cairn_cache_set_policy(cache, policy);
    cairn_cache_set_bytes_max(cache, bytes_max);
    cairn_resp_reply_ok(resp);
}

/* --- INFO --- */

void cairn_resp_info_cache_memory(struct cairn_buf *to, const struct cairn_backend *backend)
{
    uint64_t used = cairn_cache_bytes(backend->cache), most = cairn_cache_bytes_max(backend->cache);
    char used_text[CAIRN_SIZE_TEXT_BYTES], most_text[CAIRN_SIZE_TEXT_BYTES];

    cairn_buf_printf(to,
                     "used_memory:%" PRIu64 "\r\nused_memory_human:%s\r\nused_memory_dataset:%" PRIu64 "\r\n"
                     "maxmemory:%" PRIu64 "\r\nmaxmemory_human:%s\r\nmaxmemory_policy:%s\r\n",
                     used, cairn_size_text(used, used_text), used, most, cairn_size_text(most, most_text),
                     cairn_cache_policy_name(cairn_cache_policy(backend->cache)));
}

void cairn_resp_info_cache_stats(struct cairn_buf *to, const struct cairn_backend *backend)
{
    struct cairn_cache_stats stats;

    cairn_cache_stats(backend->cache, &stats);
    cairn_buf_printf(to,
                     "expired_keys:%" PRIu64 "\r\nevicted_keys:%" PRIu64 "\r\nkeyspace_hits:%" PRIu64 "\r\n"
                     "keyspace_misses:%" PRIu64 "\r\n",
                     stats.expired, stats.evicted, stats.hits, stats.misses);
}

void cairn_resp_info_keyspace(struct cairn_buf *to, struct cairn_resp_session *resp)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    struct space *space = resp->session.space;
    uint64_t now_ms;
    uint32_t first;

    if (!backend->cache || !cairn_cache_space(backend->cache, space ? space->name : cairn_str(SPACE_DEFAULT), &first))
        return;
    now_ms = backend->clock->wall_ms(backend->clock);
    for (uint32_t i = 0; i < CAIRN_CACHE_DATABASES; i++) {
        struct cairn_cache_counts counts;
        uint64_t ttl_ms = 0;

        cairn_cache_count(backend->cache, first + i, false, &counts);
        if (counts.keys == 0)
            continue;
        if (counts.expires && counts.expiry_sum_ms / counts.expires > now_ms)
            ttl_ms = counts.expiry_sum_ms / counts.expires - now_ms;
        cairn_buf_printf(to, "db%u:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=%" PRIu64 ",bytes=%" PRIu64 "\r\n", i,
                         counts.keys, counts.expires, ttl_ms, counts.bytes);
    }
}
