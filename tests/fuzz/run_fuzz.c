/* run_fuzz.c - a run whose checksums are right and whose parts are what the fuzzer says: opened, walked, asked.
 *
 * Input: one byte of order and compression, one of how many blocks it tells, u16 size of the fences, u16 of the
 * filter; then the fences, the filter, and the blocks' frame gets the rest. */
#include <stdlib.h>

#include "base/hash.h"
#include "engine/run_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t add_frame(struct cairn_buf *file, struct cairn_bytes payload)
{
    uint64_t offset = file->size;
    uint8_t *head = cairn_buf_reserve(file, RUN_FRAME_BYTES);

    cairn_put_u32(head, (uint32_t)payload.size);
    cairn_put_u32(head + 4, run_frame_checksum(1, offset, payload.data, (uint32_t)payload.size));
    file->size += RUN_FRAME_BYTES;
    cairn_buf_add(file, payload.data, payload.size);
    return offset;
}

static void read_all(struct cairn_disk *disk, const struct run_about *about)
{
    struct cairn_buf scratch = {0};
    struct cairn_bytes value;
    struct run_cursor cursor;
    struct cairn_err err;
    struct run *run;
    bool more = true, found;

    if (run_open(disk, about, &run, &err) != CAIRN_OK)
        return;
    run_cursor_init(&cursor, run);
    for (int i = 0; i < 1000 && more && run_cursor_next(&cursor, &more, &err) == CAIRN_OK; i++)
        if (more && run_get(run, cursor.record.key, cursor.record.hash, &scratch, &found, &value, &err) == CAIRN_OK &&
            found && !run_is_tombstone(value) && value.size && value.data[value.size - 1] == 0xff)
            scratch.size = 0; /* it was read */
    run_cursor_done(&cursor);
    run_verify(run, &err);
    run_close(run);
    cairn_buf_done(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_reader reader = cairn_reader(cairn_bytes(data, size));
    uint8_t kind = cairn_read_u8(&reader), blocks = cairn_read_u8(&reader);
    size_t fence_bytes = cairn_read_u8(&reader) | (size_t)cairn_read_u8(&reader) << 8;
    size_t filter_bytes = cairn_read_u8(&reader) | (size_t)cairn_read_u8(&reader) << 8;
    struct cairn_bytes fences = cairn_read_bytes(&reader, fence_bytes),
                       filter = cairn_read_bytes(&reader, filter_bytes);
    struct run_footer footer = {.id = 1, .records = 1000, .block_count = blocks};
    struct run_about about = {.id = 1, .records = 1000};
    struct cairn_buf file = {0};
    struct cairn_disk *disk;
    struct cairn_file *handle;
    struct cairn_err err;

    if (reader.bad)
        return 0;
    run_header_encode(1, 0,
                      (struct run_kind){kind % 2 ? RUN_BY_HASH : RUN_BY_KEY, (enum run_compression)(kind / 2 % 3)},
                      cairn_buf_reserve(&file, RUN_HEADER_BYTES));
    file.size = RUN_HEADER_BYTES;
    add_frame(&file, cairn_bytes(reader.at, cairn_reader_left(&reader)));
    footer.fences_offset = add_frame(&file, fences);
    footer.filter_offset = add_frame(&file, filter);
    run_footer_encode(&footer, cairn_buf_reserve(&file, RUN_FOOTER_BYTES));
    file.size += RUN_FOOTER_BYTES;
    about.bytes = file.size;
    disk = cairn_sim_disk_create(1);
    if (disk->ops->make_dir(disk, RUN_DIR, &err) == CAIRN_OK &&
        disk->ops->open(disk, RUN_DIR "/1.run", CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &handle, &err) == CAIRN_OK) {
        disk->ops->write_at(handle, 0, file.data, file.size, &err);
        disk->ops->close(handle);
        read_all(disk, &about);
    }
    cairn_disk_close(disk);
    cairn_buf_done(&file);
    return 0;
}
