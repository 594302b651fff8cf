/* Would catch: a stream that was cut off anywhere, has a byte that was changed, lacks a part, has one twice, or goes on
 * behind its end, and is read as a whole one; one of another format that is called damaged; pieces that matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/hash.h"
#include "transfer/stream.h"

enum { PARTS = 4 };

/* ends[i]: behind part i; ends[0] is behind the head. */
static void make(struct cairn_buf *to, size_t ends[PARTS + 1])
{
    struct stream_writer writer = {0};
    struct cairn_bytes about = cairn_str("about"), object[2] = {cairn_str("Ob"), cairn_str("ject")};
    struct cairn_bytes empty = cairn_bytes(NULL, 0);

    stream_begin(to);
    ends[0] = to->size;
    assert_int_equal(stream_add(&writer, STREAM_ABOUT, &about, 1, NULL), CAIRN_OK);
    for (int i = 1; i <= PARTS; i++) {
        assert_int_equal(stream_add(&writer, STREAM_OBJECT, object, 2, NULL), CAIRN_OK);
        assert_int_equal(stream_add(&writer, STREAM_VALUE, &empty, 1, NULL), CAIRN_OK);
        if (i == PARTS)
            stream_add_end(&writer);
        stream_flush(&writer, to);
        stream_flush(&writer, to); /* nothing more */
        ends[i] = to->size;
    }
    stream_writer_done(&writer);
}

/* Reads it in pieces of so many bytes.  CAIRN_OK: it is whole. */
static enum cairn_code read_all(struct cairn_bytes bytes, size_t piece, struct stream_counts *ret_counts)
{
    struct stream_reader reader = {0};
    struct stream_item item;
    struct cairn_err err;
    enum cairn_code code = CAIRN_OK;
    bool over = false;

    for (size_t at = 0; code == CAIRN_OK && at < bytes.size; at += piece) {
        enum stream_state state = STREAM_HAS;

        stream_reader_add(&reader, cairn_bytes(bytes.data + at, bytes.size - at < piece ? bytes.size - at : piece));
        while (code == CAIRN_OK && state == STREAM_HAS) {
            code = stream_next(&reader, &state, &item, &err);
            if (code == CAIRN_OK && state == STREAM_HAS && item.kind == STREAM_OBJECT)
                assert_true(cairn_bytes_equal(item.body, cairn_str("Object")));
            over |= code == CAIRN_OK && state == STREAM_OVER;
        }
    }
    if (code == CAIRN_OK)
        code = stream_check_end(&reader, &err);
    if (code == CAIRN_OK)
        assert_true(over);
    if (ret_counts)
        *ret_counts = reader.counts;
    stream_reader_done(&reader);
    return code;
}

static void is_read_in_any_pieces(void **state)
{
    struct cairn_buf bytes = {0};
    size_t ends[PARTS + 1];

    (void)state;
    make(&bytes, ends);
    for (size_t piece = 1; piece <= bytes.size; piece++) {
        struct stream_counts counts;

        assert_int_equal(read_all(cairn_buf_bytes(&bytes), piece, &counts), CAIRN_OK);
        assert_int_equal(counts.of[STREAM_OBJECT], PARTS);
        assert_int_equal(counts.of[STREAM_VALUE], PARTS);
        assert_int_equal(counts.of[STREAM_END], 1);
    }
    cairn_buf_done(&bytes);
}

static void every_cut_is_refused(void **state)
{
    struct cairn_buf bytes = {0};
    size_t ends[PARTS + 1];

    (void)state;
    make(&bytes, ends);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(read_all(cairn_bytes(bytes.data, size), 7, NULL), CAIRN_ECORRUPT);
    cairn_buf_u8(&bytes, 0);
    assert_int_equal(read_all(cairn_buf_bytes(&bytes), 7, NULL), CAIRN_ECORRUPT);
    assert_int_equal(read_all(cairn_buf_bytes(&bytes), bytes.size, NULL), CAIRN_ECORRUPT);
    cairn_buf_done(&bytes);
}

static void every_flip_is_refused(void **state)
{
    struct cairn_buf bytes = {0};
    size_t ends[PARTS + 1];

    (void)state;
    make(&bytes, ends);
    for (size_t at = 0; at < bytes.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[at] ^= (uint8_t)(1 << bit);
            assert_int_equal(read_all(cairn_buf_bytes(&bytes), 64, NULL), CAIRN_ECORRUPT);
            bytes.data[at] ^= (uint8_t)(1 << bit);
        }
    cairn_buf_done(&bytes);
}

static void parts_have_their_order(void **state)
{
    struct cairn_buf bytes = {0}, other = {0};
    size_t ends[PARTS + 1];

    (void)state;
    make(&bytes, ends);
    for (int lacks = 1; lacks <= PARTS; lacks++) {
        other.size = 0;
        cairn_buf_add(&other, bytes.data, ends[lacks - 1]);
        cairn_buf_add(&other, bytes.data + ends[lacks], bytes.size - ends[lacks]);
        assert_int_equal(read_all(cairn_buf_bytes(&other), 64, NULL), CAIRN_ECORRUPT);
        other.size = 0;
        cairn_buf_add(&other, bytes.data, ends[lacks]);
        cairn_buf_add(&other, bytes.data + ends[lacks - 1], bytes.size - ends[lacks - 1]);
        assert_int_equal(read_all(cairn_buf_bytes(&other), 64, NULL), CAIRN_ECORRUPT);
    }
    cairn_buf_done(&bytes);
    cairn_buf_done(&other);
}

static void another_format_is_told(void **state)
{
    struct cairn_buf bytes = {0};
    size_t ends[PARTS + 1];

    (void)state;
    make(&bytes, ends);
    cairn_put_u32(bytes.data + 8, STREAM_FORMAT + 1);
    cairn_put_u32(bytes.data + 12, cairn_crc32c(0, bytes.data, 12));
    assert_int_equal(read_all(cairn_buf_bytes(&bytes), 64, NULL), CAIRN_EVERSION);
    cairn_buf_done(&bytes);
}

static void too_large_an_item_is_refused(void **state)
{
    struct stream_writer writer = {0};
    uint8_t *large = calloc(1, STREAM_PART_BYTES_MAX);
    struct cairn_bytes piece = cairn_bytes(large, STREAM_PART_BYTES_MAX);

    (void)state;
    assert_int_equal(stream_add(&writer, STREAM_VALUE, &piece, 1, NULL), CAIRN_ELIMIT);
    assert_int_equal(writer.part.size, 0);
    piece.size = 64 << 20; /* the greatest value */
    assert_int_equal(stream_add(&writer, STREAM_VALUE, &piece, 1, NULL), CAIRN_OK);
    stream_writer_done(&writer);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_in_any_pieces),  cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flip_is_refused),  cmocka_unit_test(parts_have_their_order),
        cmocka_unit_test(another_format_is_told), cmocka_unit_test(too_large_an_item_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
