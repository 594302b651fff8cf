/* Every decoder of what checkpoints and commits are made of.  The first byte says which:
 *   'c' a chunk's items: what loads is snapshotted and loads again to the same
 *   'm' a manifest, whose checksum is made right first: what decodes encodes to the same bytes
 *   'f' a checkpoint file as it is; 'g' with its header's and first chunk's checksums made right
 *   'v' a version of the node, whose checksum is made right first: what decodes encodes to the same bytes
 *   'a' a chunk of an archive, 'b' a version there, 'o' an order to restore: checksums likewise
 *   'r' a commit's record */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "history/history_internal.h"
#include "shard/shard_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_engine *other = context;
    struct cairn_bytes found;

    must(other->view.ops->get(&other->view, key, cairn_hash(key), &found) && cairn_bytes_equal(value, found));
}

static void chunk(struct cairn_bytes input)
{
    struct cairn_engine *engine = cairn_memory_create(), *again = cairn_memory_create();
    struct cairn_engine_stats stats, stats_again;
    struct cairn_snapshot *snapshot;
    struct cairn_buf bytes = {0};
    struct cairn_err err;

    if (engine->snapshots->load_chunk(engine, input, &err) != CAIRN_OK)
        must(err.code == CAIRN_ECORRUPT);
    snapshot = engine->snapshots->begin(engine);
    while (!engine->snapshots->step(snapshot, 1000000))
        while (engine->snapshots->take_chunk(snapshot, &bytes))
            must(again->snapshots->load_chunk(again, cairn_buf_bytes(&bytes), &err) == CAIRN_OK);
    while (engine->snapshots->take_chunk(snapshot, &bytes))
        must(again->snapshots->load_chunk(again, cairn_buf_bytes(&bytes), &err) == CAIRN_OK);
    engine->snapshots->end(snapshot);
    engine->ops->stats(engine, &stats);
    again->ops->stats(again, &stats_again);
    must(stats.keys == stats_again.keys && stats.value_bytes == stats_again.value_bytes);
    engine->view.ops->visit(&engine->view, check_same, again);
    cairn_buf_done(&bytes);
    engine->ops->close(engine);
    again->ops->close(again);
}

static void manifest(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0}, encoded = {0};
    struct manifest decoded;
    struct cairn_err err;

    cairn_buf_add(&bytes, input.data, input.size);
    if (bytes.size >= 4)
        cairn_put_u32(bytes.data + bytes.size - 4, cairn_crc32c(0, bytes.data, bytes.size - 4));
    if (manifest_decode(cairn_buf_bytes(&bytes), &decoded, &err) == CAIRN_OK) {
        manifest_encode(&decoded, &encoded);
        must(cairn_bytes_equal(cairn_buf_bytes(&bytes), cairn_buf_bytes(&encoded)));
        manifest_done(&decoded);
    } else {
        must(err.code == CAIRN_ECORRUPT || err.code == CAIRN_EVERSION);
    }
    cairn_buf_done(&bytes);
    cairn_buf_done(&encoded);
}

static void seal(uint8_t *bytes, size_t size)
{
    if (size >= 4)
        cairn_put_u32(bytes + size - 4, cairn_crc32c(0, bytes, size - 4));
}

static void archive_chunk(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0}, encoded = {0};
    struct archive_chunk chunk;
    struct cairn_bytes records;

    cairn_buf_add(&bytes, input.data, input.size);
    seal(bytes.data, bytes.size);
    if (archive_chunk_decode(cairn_buf_bytes(&bytes), &chunk, &records)) {
        cairn_buf_add(&chunk.records, records.data, records.size);
        archive_chunk_encode(&chunk, &encoded);
        must(cairn_bytes_equal(cairn_buf_bytes(&bytes), cairn_buf_bytes(&encoded)));
        cairn_buf_done(&chunk.records);
    }
    cairn_buf_done(&bytes);
    cairn_buf_done(&encoded);
}

static void archived_version(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0};
    struct archived_version *version;
    struct cairn_err err;

    cairn_buf_add(&bytes, input.data, input.size);
    seal(bytes.data, bytes.size);
    if (archived_version_parse(&bytes, &version, &err) == CAIRN_OK)
        archived_version_free(version);
    else
        must(err.code == CAIRN_ECORRUPT || err.code == CAIRN_EVERSION);
    cairn_buf_done(&bytes);
}

static void order(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0};
    struct restore_order decoded = {0};
    struct cairn_err err;

    cairn_buf_add(&bytes, input.data, input.size);
    if (bytes.size > 36)
        seal(bytes.data + 32, bytes.size - 36);
    seal(bytes.data, bytes.size);
    if (restore_decode_order(cairn_buf_bytes(&bytes), &decoded, &err) == CAIRN_OK)
        node_version_done(&decoded.version);
    else
        must(err.code == CAIRN_ECORRUPT || err.code == CAIRN_EVERSION);
    cairn_buf_done(&bytes);
}

static void version(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0}, encoded = {0};
    struct node_version decoded;
    struct cairn_err err;

    cairn_buf_add(&bytes, input.data, input.size);
    if (bytes.size >= 4)
        cairn_put_u32(bytes.data + bytes.size - 4, cairn_crc32c(0, bytes.data, bytes.size - 4));
    if (node_version_decode(cairn_buf_bytes(&bytes), &decoded, &err) == CAIRN_OK) {
        node_version_encode(&decoded, &encoded);
        must(cairn_bytes_equal(cairn_buf_bytes(&bytes), cairn_buf_bytes(&encoded)));
        node_version_done(&decoded);
    } else {
        must(err.code == CAIRN_ECORRUPT || err.code == CAIRN_EVERSION);
    }
    cairn_buf_done(&bytes);
    cairn_buf_done(&encoded);
}

static void ignore(void *context, uint64_t bytes)
{
    (void)context;
    (void)bytes;
}

/* Header of 40 bytes with its checksum at 36; the first chunk's head (length, checksum) follows. */
static void mend(uint8_t *bytes, size_t size)
{
    uint8_t where[20];
    uint32_t length;

    if (size < 48)
        return;
    cairn_put_u32(bytes + 36, cairn_crc32c(0, bytes, 36));
    length = cairn_get_u32(bytes + 40);
    if (length > size - 48)
        return;
    memcpy(where, bytes + 16, 8);
    cairn_put_u64(where + 8, 40);
    cairn_put_u32(where + 16, length);
    cairn_put_u32(bytes + 44, cairn_crc32c(cairn_crc32c(0, where, sizeof where), bytes + 48, length));
}

static void file(struct cairn_bytes input, bool mended)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_engine *engine = cairn_memory_create();
    struct manifest_shard named = {.number = 1, .file_bytes = input.size};
    struct cairn_buf bytes = {0};
    struct cairn_err err;
    char path[CAIRN_PATH_BYTES];

    cairn_buf_add(&bytes, input.data, input.size);
    if (mended)
        mend(bytes.data, bytes.size);
    if (bytes.size >= 36)
        named.seal = cairn_get_u32(bytes.data + bytes.size - 32);
    checkpoint_path(0, 1, path);
    must(disk->ops->make_dir(disk, CHECKPOINT_DIR, &err) == CAIRN_OK);
    must(cairn_disk_replace_file(disk, path, cairn_buf_bytes(&bytes), &err) == CAIRN_OK);
    if (checkpoint_load(disk, 0, &named, engine, ignore, NULL, &err) != CAIRN_OK)
        must((err.code == CAIRN_ECORRUPT && strstr(err.text, path)) || err.code == CAIRN_EVERSION);
    cairn_buf_done(&bytes);
    engine->ops->close(engine);
    cairn_disk_close(disk);
}

static void record(struct cairn_bytes input)
{
    struct cairn_reader r = cairn_reader(input);
    struct commit_head head;
    struct cairn_write write;
    struct cairn_err err;
    enum cairn_code code = commit_read_head(&r, &head, &err);

    if (code != CAIRN_OK)
        return;
    do
        for (uint64_t i = 0; i < head.writes; i++) {
            if (commit_read_write(&r, &write, &err) != CAIRN_OK)
                return;
            must(write.key.size >= 1 && (!write.deleted || write.value.size == 0));
        }
    while (commit_read_next(&r, &head, &code, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_bytes input;

    if (size < 1)
        return 0;
    input = cairn_bytes(data + 1, size - 1);
    switch (data[0]) {
    case 'c':
        chunk(input);
        break;
    case 'm':
        manifest(input);
        break;
    case 'v':
        version(input);
        break;
    case 'a':
        archive_chunk(input);
        break;
    case 'b':
        archived_version(input);
        break;
    case 'o':
        order(input);
        break;
    case 'f':
    case 'g':
        file(input, data[0] == 'g');
        break;
    case 'r':
        record(input);
        break;
    }
    return 0;
}
