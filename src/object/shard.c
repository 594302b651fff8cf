#include "object/shard.h"

#include "object/clock.h"
#include "object/layout.h"
#include "object/worker.h"

enum cairn_code shard_meta_load(struct shard *shard, struct cairn_err *err)
{
    uint8_t key = KEY_META;
    struct cairn_bytes k = cairn_bytes(&key, 1), value;

    shard->meta = (struct shard_meta){0};
    if (shard->engine->ops->get(shard->engine, k, cairn_hash(k), &value)) {
        struct cairn_reader r = cairn_reader(value);
        shard->meta.once_first = cairn_read_varint(&r);
        shard->meta.once_end = cairn_read_varint(&r);
        shard->meta.purge_first = cairn_read_varint(&r);
        shard->meta.purge_end = cairn_read_varint(&r);
        shard->meta.outcomes.first = cairn_read_varint(&r);
        shard->meta.outcomes.end = cairn_read_varint(&r);
        shard->meta.outcomes.bytes = cairn_read_varint(&r);
    }
    return cairn_engine_take_failure(shard->engine, err);
}

void shard_meta_store(struct shard *shard, struct overlay *overlay)
{
    uint8_t key = KEY_META, value[7 * CAIRN_VARINT_BYTES_MAX];
    size_t n = 0;

    n += cairn_put_varint(value + n, shard->meta.once_first);
    n += cairn_put_varint(value + n, shard->meta.once_end);
    n += cairn_put_varint(value + n, shard->meta.purge_first);
    n += cairn_put_varint(value + n, shard->meta.purge_end);
    n += cairn_put_varint(value + n, shard->meta.outcomes.first);
    n += cairn_put_varint(value + n, shard->meta.outcomes.end);
    n += cairn_put_varint(value + n, shard->meta.outcomes.bytes);
    overlay_put(overlay, cairn_bytes(&key, 1), cairn_bytes(value, n));
}

uint64_t shard_incarnation(struct shard *shard)
{
    /* The log's epoch is new at every opening, so the number is never used twice. */
    return shard->log->epoch << 40 | ++shard->incarnations;
}

enum cairn_code shard_commit_own(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                 const char *note, struct dependency *ret_record, struct cairn_err *err)
{
    struct cairn_log *log = shard->log;
    size_t bytes = cairn_shard_record_bytes(cairn_str(note), overlay->writes, overlay->count);
    enum cairn_code code = overlay->code;

    if (code != CAIRN_OK && err)
        *err = overlay->err;
    if (code == CAIRN_OK && shard->frozen)
        code = cairn_fail(err, CAIRN_EOVERLOAD, "a transaction is being committed");
    if (code == CAIRN_OK)
        code = log->ops->claim(log, bytes, 1, err);
    if (code != CAIRN_OK)
        return code;
    *ret_record = (struct dependency){.shard = shard->index};
    return cairn_shard_commit(shard->shard, (uint64_t)worker_now_ms(worker), cairn_str(note), overlay->writes,
                              overlay->count, &ret_record->end, err);
}
