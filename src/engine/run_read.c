/* run_read.c - reading a run: by key through filter and fences, and in order. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/filter.h"
#include "engine/run_format.h"

struct run {
    struct cairn_disk *disk;
    pthread_mutex_t lock;    /* guards the next two: a read holds the file, and it may be closed between reads */
    struct cairn_file *file; /* NULL: opened when it is read next */
    unsigned readers;
    char path[CAIRN_PATH_BYTES];
    struct run_about about;
    struct run_kind kind;
    struct filter filter;
    struct cairn_buf fences; /* per block: varint offset, varint size, bytes */
    uint32_t *fence_at;      /* where in `fences` each begins */
    size_t block_count;
    uint64_t blocks_end;
};

static enum cairn_code damaged(const struct run *run, uint64_t offset, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT,
                      "'%s' in '%s' is damaged at byte %" PRIu64
                      ": %s; restore a version that does not have this file, or put a copy of it in its place",
                      run->path, run->disk->root, offset, what);
}

static enum cairn_code open_file(struct run *run, struct cairn_err *err)
{
    enum cairn_code code = run->disk->ops->open(run->disk, run->path, CAIRN_OPEN_READ, &run->file, err);

    if (code == CAIRN_ENOTFOUND)
        code = cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' in '%s' is missing: put a copy of it in its place, or restore a "
                          "version that does not have it",
                          run->path, run->disk->root);
    return code;
}

static enum cairn_code read_file(struct run *run, uint64_t offset, void *to, size_t size, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    pthread_mutex_lock(&run->lock);
    if (!run->file)
        code = open_file(run, err);
    run->readers += code == CAIRN_OK;
    pthread_mutex_unlock(&run->lock);
    if (code != CAIRN_OK)
        return code;
    code = run->disk->ops->read_at(run->file, offset, to, size, err);
    pthread_mutex_lock(&run->lock);
    run->readers--;
    pthread_mutex_unlock(&run->lock);
    return code;
}

bool run_rest(struct run *run)
{
    bool rests;

    pthread_mutex_lock(&run->lock);
    if (!run->readers) {
        run->disk->ops->close(run->file);
        run->file = NULL;
    }
    rests = !run->file;
    pthread_mutex_unlock(&run->lock);
    return rests;
}

bool run_is_open(struct run *run)
{
    bool is_open;

    pthread_mutex_lock(&run->lock);
    is_open = run->file;
    pthread_mutex_unlock(&run->lock);
    return is_open;
}

static enum cairn_code payload_size(const struct run *run, uint64_t offset, uint64_t end, size_t *ret_size,
                                    struct cairn_err *err)
{
    if (end < offset + RUN_FRAME_BYTES || end - offset - RUN_FRAME_BYTES > UINT32_MAX)
        return damaged(run, offset, "a part has no such size", err);
    *ret_size = (size_t)(end - offset - RUN_FRAME_BYTES);
    return CAIRN_OK;
}

static enum cairn_code check_frame(const struct run *run, uint64_t offset, const uint8_t head[RUN_FRAME_BYTES],
                                   struct cairn_bytes payload, struct cairn_err *err)
{
    if (cairn_get_u32(head) != payload.size ||
        cairn_get_u32(head + 4) != run_frame_checksum(run->about.id, offset, payload.data, (uint32_t)payload.size))
        return damaged(run, offset, "bad checksum", err);
    return CAIRN_OK;
}

/* The payload of the frame that fills [offset, end), into `to`. */
static enum cairn_code read_frame(struct run *run, uint64_t offset, uint64_t end, struct cairn_buf *to,
                                  struct cairn_bytes *ret_payload, struct cairn_err *err)
{
    size_t size = 0;
    enum cairn_code code = payload_size(run, offset, end, &size, err);

    if (code != CAIRN_OK)
        return code;
    to->size = 0;
    code = read_file(run, offset, cairn_buf_reserve(to, RUN_FRAME_BYTES + size), RUN_FRAME_BYTES + size, err);
    if (code != CAIRN_OK)
        return code;
    to->size = RUN_FRAME_BYTES + size;
    *ret_payload = cairn_bytes(to->data + RUN_FRAME_BYTES, size);
    return check_frame(run, offset, to->data, *ret_payload, err);
}

/* The same with the payload, of its size, where it stays. */
static enum cairn_code read_payload(struct run *run, uint64_t offset, uint8_t *to, size_t size, struct cairn_err *err)
{
    uint8_t head[RUN_FRAME_BYTES];
    enum cairn_code code = read_file(run, offset, head, sizeof head, err);

    if (code == CAIRN_OK && size)
        code = read_file(run, offset + sizeof head, to, size, err);
    return code == CAIRN_OK ? check_frame(run, offset, head, cairn_bytes(to, size), err) : code;
}

struct fence {
    uint64_t offset;
    struct cairn_bytes key;
};

static struct fence fence_of(const struct run *run, size_t block)
{
    struct cairn_reader reader =
        cairn_reader(cairn_bytes(run->fences.data + run->fence_at[block], run->fences.size - run->fence_at[block]));
    struct fence fence = {.offset = cairn_read_varint(&reader)};

    fence.key = cairn_read_sized(&reader);
    return fence;
}

static uint64_t block_end(const struct run *run, size_t block)
{
    return block + 1 < run->block_count ? fence_of(run, block + 1).offset : run->blocks_end;
}

static enum cairn_code read_block(struct run *run, size_t block, struct cairn_buf *to, struct cairn_bytes *ret_block,
                                  struct cairn_err *err)
{
    uint64_t offset = fence_of(run, block).offset;
    struct cairn_bytes packed;
    enum cairn_code code = read_frame(run, offset, block_end(run, block), to, &packed, err);

    if (code == CAIRN_OK && !run_block_unpack(run->kind.compression, packed, to, ret_block))
        return damaged(run, offset, "a block cannot be decompressed", err);
    return code;
}

/* Walks the fences once, so that nothing that is found in them later can be wrong. */
static enum cairn_code index_fences(struct run *run, uint64_t offset, struct cairn_err *err)
{
    struct cairn_reader reader;
    struct fence last = {.offset = 0};

    reader = cairn_reader(cairn_buf_bytes(&run->fences));
    if (run->block_count > run->fences.size / 2)
        return damaged(run, offset, "fewer fences than blocks", err);
    run->fence_at = cairn_alloc(run->block_count * sizeof *run->fence_at + 1);
    for (size_t i = 0; i < run->block_count; i++) {
        struct fence fence;

        run->fence_at[i] = (uint32_t)(reader.at - run->fences.data);
        fence.offset = cairn_read_varint(&reader);
        fence.key = cairn_read_sized(&reader);
        if (reader.bad || fence.offset >= run->blocks_end ||
            (i ? fence.offset <= last.offset || cairn_bytes_compare(last.key, fence.key) >= 0
               : fence.offset != RUN_HEADER_BYTES || fence.key.size > 0))
            return damaged(run, offset, "its fences do not ascend", err);
        last = fence;
    }
    if (cairn_reader_left(&reader) > 0 || (!run->block_count && run->blocks_end != RUN_HEADER_BYTES))
        return damaged(run, offset, "more fences than blocks", err);
    return CAIRN_OK;
}

static enum cairn_code read_fences(struct run *run, uint64_t offset, uint64_t end, struct cairn_err *err)
{
    size_t size = 0;
    enum cairn_code code = payload_size(run, offset, end, &size, err);

    if (code == CAIRN_OK)
        code = read_payload(run, offset, cairn_buf_reserve(&run->fences, size), size, err);
    if (code != CAIRN_OK)
        return code;
    run->fences.size = size;
    return index_fences(run, offset, err);
}

static enum cairn_code read_filter(struct run *run, uint64_t offset, uint64_t end, struct cairn_err *err)
{
    size_t size = 0;
    enum cairn_code code = payload_size(run, offset, end, &size, err);

    if (code == CAIRN_OK && size % FILTER_BLOCK_BYTES)
        code = damaged(run, offset, "a filter has no such size", err);
    return code == CAIRN_OK ? read_payload(run, offset, filter_init_kept(&run->filter, size), size, err) : code;
}

static enum cairn_code read_ends(struct run *run, struct cairn_err *err)
{
    uint8_t header[RUN_HEADER_BYTES], end[RUN_FOOTER_BYTES];
    struct run_footer footer;
    uint64_t size, footer_offset;
    enum cairn_code code = run->disk->ops->size(run->file, &size, err);

    if (code != CAIRN_OK)
        return code;
    if (size != run->about.bytes || size < RUN_HEADER_BYTES + RUN_FOOTER_BYTES)
        return damaged(run, size, "it ends here, which is not where it should", err);
    footer_offset = size - RUN_FOOTER_BYTES;
    code = read_file(run, 0, header, sizeof header, err);
    if (code == CAIRN_OK)
        code = read_file(run, footer_offset, end, sizeof end, err);
    if (code != CAIRN_OK)
        return code;
    code = run_header_check(header, run->about.id, run->about.level, &run->kind);
    if (code == CAIRN_EVERSION)
        return cairn_fail(err, CAIRN_EVERSION,
                          "'%s' in '%s' has format %" PRIu32 ", and this program reads format %d: use the program that "
                          "wrote it, or a later one",
                          run->path, run->disk->root, cairn_get_u32(header + 8), RUN_VERSION);
    if (code != CAIRN_OK)
        return damaged(run, 0, "its header is not its own", err);
    if (!run_footer_decode(end, &footer) || footer.id != run->about.id || footer.records != run->about.records ||
        footer.tombstones != run->about.tombstones || footer.block_count > footer.records ||
        footer.fences_offset < RUN_HEADER_BYTES || footer.fences_offset > footer.filter_offset ||
        footer.filter_offset > footer_offset)
        return damaged(run, footer_offset, "its footer is not its own", err);
    run->block_count = (size_t)footer.block_count;
    run->blocks_end = footer.fences_offset;
    code = read_fences(run, footer.fences_offset, footer.filter_offset, err);
    return code == CAIRN_OK ? read_filter(run, footer.filter_offset, footer_offset, err) : code;
}

enum cairn_code run_open(struct cairn_disk *disk, const struct run_about *about, struct run **ret_run,
                         struct cairn_err *err)
{
    struct run *run = cairn_alloc_zeroed(1, sizeof *run);
    enum cairn_code code;

    run->disk = disk;
    run->about = *about;
    run_path(about->id, run->path);
    pthread_mutex_init(&run->lock, NULL);
    code = open_file(run, err);
    if (code == CAIRN_OK)
        code = read_ends(run, err);
    if (code != CAIRN_OK) {
        run_close(run);
        return code;
    }
    *ret_run = run;
    return CAIRN_OK;
}

struct run *run_close(struct run *run)
{
    if (!run)
        return NULL;
    run->disk->ops->close(run->file);
    pthread_mutex_destroy(&run->lock);
    filter_done(&run->filter);
    cairn_buf_done(&run->fences);
    free(run->fence_at);
    free(run);
    return NULL;
}

const struct run_about *run_about(const struct run *run)
{
    return &run->about;
}

enum run_order run_order(const struct run *run)
{
    return run->kind.order;
}

size_t run_memory_bytes(const struct run *run)
{
    return sizeof *run + filter_bytes(&run->filter).size + run->fences.capacity +
           run->block_count * sizeof *run->fence_at;
}

size_t run_filter_bytes(const struct run *run)
{
    return filter_bytes(&run->filter).size;
}

void run_drop_filter(struct run *run)
{
    filter_done(&run->filter);
    run->filter = (struct filter){0};
}

/* The next record of a block, but for its hash; false when it makes no sense. */
static bool read_record(struct cairn_reader *reader, struct run_record *ret_record)
{
    uint64_t key_bytes = cairn_read_varint(reader), value_bytes = cairn_read_varint(reader);

    ret_record->key = cairn_read_bytes(reader, (size_t)key_bytes);
    ret_record->value = value_bytes ? cairn_read_bytes(reader, (size_t)value_bytes - 1) : run_tombstone();
    return !reader->bad && key_bytes > 0;
}

/* The block that has the key if any has: its fence is not above the sort key, the next one is. */
static size_t find_block(const struct run *run, uint64_t hash, struct cairn_bytes sort_key)
{
    size_t low = 0, high = run->block_count;

    if (run->kind.order == RUN_BY_HASH) { /* hashes are spread evenly: it is near where it would be by proportion */
        size_t step = 1, at = (size_t)((unsigned __int128)hash * run->block_count >> 64);

        if (cairn_bytes_compare(fence_of(run, at).key, sort_key) <= 0) {
            for (low = at; low + step < high; step *= 2)
                if (cairn_bytes_compare(fence_of(run, low + step).key, sort_key) > 0)
                    high = low + step;
                else
                    low += step;
        } else {
            for (high = at; high > step; step *= 2)
                if (cairn_bytes_compare(fence_of(run, high - step).key, sort_key) <= 0) {
                    low = high - step;
                    break;
                } else {
                    high -= step;
                }
        }
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (cairn_bytes_compare(fence_of(run, middle).key, sort_key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum cairn_code run_get(struct run *run, struct cairn_bytes key, uint64_t hash, struct cairn_buf *scratch,
                        bool *ret_found, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct run_record found;
    struct cairn_bytes payload;
    size_t block;
    struct cairn_reader reader;
    enum cairn_code code;

    if (!run->block_count || !filter_has(&run->filter, hash)) {
        *ret_found = false;
        return CAIRN_OK;
    }
    block = find_block(run, hash, run_sort_key(run->kind.order, hash, key, scratch));
    code = read_block(run, block, scratch, &payload, err);
    if (code != CAIRN_OK)
        return code;
    reader = cairn_reader(payload);
    while (cairn_reader_left(&reader) > 0) {
        if (!read_record(&reader, &found))
            return damaged(run, fence_of(run, block).offset, "a record has no such size", err);
        if (cairn_bytes_equal(found.key, key)) {
            *ret_found = true;
            *ret_value = found.value;
            return CAIRN_OK;
        }
    }
    *ret_found = false;
    return CAIRN_OK;
}

enum cairn_code run_verify(struct run *run, struct cairn_err *err)
{
    enum { PART = 1 << 20 };
    struct cairn_sha256 *sha = cairn_sha256_begin();
    uint8_t *part = cairn_alloc(PART), digest[CAIRN_SHA256_BYTES];
    enum cairn_code code = CAIRN_OK;

    for (uint64_t at = 0; code == CAIRN_OK && at < run->about.bytes; at += PART) {
        size_t size = run->about.bytes - at < PART ? (size_t)(run->about.bytes - at) : PART;

        code = read_file(run, at, part, size, err);
        if (code == CAIRN_OK)
            cairn_sha256_add(sha, part, size);
    }
    cairn_sha256_end(sha, digest);
    free(part);
    if (code == CAIRN_OK && memcmp(digest, run->about.sha256, sizeof digest) != 0)
        return damaged(run, 0, "its SHA-256 is not the one that the version tells", err);
    return code;
}

void run_cursor_init(struct run_cursor *cursor, struct run *run)
{
    *cursor = (struct run_cursor){.run = run};
}

enum cairn_code run_cursor_next(struct run_cursor *cursor, bool *ret_more, struct cairn_err *err)
{
    struct run *run = cursor->run;

    if (cairn_reader_left(&cursor->left) == 0) {
        struct cairn_bytes payload;
        enum cairn_code code;

        if (cursor->block == run->block_count) {
            *ret_more = false;
            return CAIRN_OK;
        }
        code = read_block(run, cursor->block, &cursor->bytes, &payload, err);
        if (code != CAIRN_OK)
            return code;
        cursor->left = cairn_reader(payload);
        cursor->block++;
    }
    if (!read_record(&cursor->left, &cursor->record))
        return damaged(run, fence_of(run, cursor->block - 1).offset, "a record has no such size", err);
    cursor->record.hash = cairn_hash(cursor->record.key);
    *ret_more = true;
    return CAIRN_OK;
}

void run_cursor_done(struct run_cursor *cursor)
{
    cairn_buf_done(&cursor->bytes);
}
