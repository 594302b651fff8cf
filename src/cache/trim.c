#include "cache/trim.h"

#include <malloc.h>

#include "io/process.h"

enum {
    EXCESS = 24, /* this part of the bound may be held for nothing */
    GAIN = 64,   /* a trim that gives back less than this part has gained nothing */
    WAIT_S = 3,  /* between two */
    WAIT_MAX_S = 300,
};

bool cairn_cache_trim_wanted(struct cairn_cache_trim *trim, uint64_t resident_bytes, uint64_t cache_bytes,
                             uint64_t cache_bytes_max, uint64_t now_ms)
{
    uint64_t idle_bytes = resident_bytes > cache_bytes ? resident_bytes - cache_bytes : 0;

    if (!trim->idle_bytes || idle_bytes < trim->idle_bytes)
        trim->idle_bytes = idle_bytes;
    return now_ms >= trim->next_ms && idle_bytes > trim->idle_bytes + cache_bytes_max / EXCESS;
}

void cairn_cache_trim_done(struct cairn_cache_trim *trim, uint64_t before_bytes, uint64_t after_bytes,
                           uint64_t cache_bytes_max, uint64_t now_ms)
{
    bool gained = after_bytes + cache_bytes_max / GAIN < before_bytes;

    trim->trims++;
    if (gained)
        trim->gained_bytes += before_bytes - after_bytes;
    trim->wait_s = gained || !trim->wait_s ? WAIT_S : trim->wait_s < WAIT_MAX_S / 2 ? 2 * trim->wait_s : WAIT_MAX_S;
    trim->next_ms = now_ms + trim->wait_s * UINT64_C(1000);
}

void cairn_cache_trim(struct cairn_cache_trim *trim, const struct cairn_cache *cache, uint64_t now_ms)
{
    uint64_t before_bytes = cairn_process_resident();

    if (!cairn_cache_trim_wanted(trim, before_bytes, cairn_cache_bytes(cache), cairn_cache_bytes_max(cache), now_ms))
        return;
    malloc_trim(0);
    cairn_cache_trim_done(trim, before_bytes, cairn_process_resident(), cairn_cache_bytes_max(cache), now_ms);
}
