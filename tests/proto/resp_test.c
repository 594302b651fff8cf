/* Would catch: a request that parses differently when its bytes arrive in other portions, a limit that is not
 * kept, a broken request taken for a good one, and replies whose bytes are not what RESP2 and RESP3 say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "proto/resp.h"

static const struct cairn_resp_limits limits = {
    .args_max = 8,
    .bulk_bytes_max = 64,
    .request_bytes_max = 256,
    .inline_bytes_max = 48,
};

/* Parses everything, fed in portions that end at the places in `cuts` (and at the end); tells what came of it as
 * text: "[word|word]" per request, "!error" at the first refusal, "..." if something is incomplete. */
static char *parse_all(struct cairn_bytes input, const size_t *cuts, size_t cut_count)
{
    struct cairn_resp_parser parser = {0};
    struct cairn_buf told = {0};
    size_t done = 0;
    bool stopped = false, incomplete = false;

    for (size_t i = 0; i <= cut_count && !stopped; i++) {
        size_t end = i < cut_count ? cuts[i] : input.size;

        for (;;) {
            /* A copy of its own size, so that a read beyond what has arrived is seen. */
            struct cairn_bytes there = {malloc(end - done + 1), end - done};
            enum cairn_resp_result result;
            struct cairn_err err;
            size_t used = 0;

            there.data = realloc((void *)there.data, end - done ? end - done : 1);
            memcpy((void *)there.data, input.data + done, end - done);
            result = cairn_resp_parse(&parser, &limits, there, &used, &err);
            incomplete = result == CAIRN_RESP_MORE && end > done;
            if (result == CAIRN_RESP_REQUEST) {
                cairn_buf_u8(&told, '[');
                for (uint32_t w = 0; w < parser.count; w++) {
                    struct cairn_bytes word = cairn_resp_word(&parser, there, w);

                    cairn_buf_printf(&told, "%s", w ? "|" : "");
                    cairn_buf_add(&told, word.data, word.size);
                }
                cairn_buf_u8(&told, ']');
                assert_true(used > 0 && used <= there.size);
                done += used;
            } else if (result == CAIRN_RESP_BAD) {
                cairn_buf_printf(&told, "!%s", err.text);
                stopped = true;
            }
            free((void *)there.data);
            if (result != CAIRN_RESP_REQUEST)
                break;
        }
    }
    if (incomplete && !stopped)
        cairn_buf_str(&told, "...");
    cairn_buf_u8(&told, 0);
    cairn_resp_parser_done(&parser);
    return (char *)told.data;
}

static const struct {
    const char *label, *input, *want;
} requests[] = {
    {"one word", "*1\r\n$4\r\nPING\r\n", "[PING]"},
    {"two requests", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", "[PING][ECHO|hi]"},
    {"empty word", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET|]"},
    {"a word with line ends", "*1\r\n$4\r\na\r\nb\r\n", "[a\r\nb]"},
    {"nothing", "*0\r\n", "[]"},
    {"less than nothing", "*-1\r\n*1\r\n$1\r\nx\r\n", "[][x]"},
    {"inline", "PING\r\n", "[PING]"},
    {"inline by newline alone", "PING\nPING\n", "[PING][PING]"},
    {"inline with blanks", "  ECHO \t hi  \r\n", "[ECHO|hi]"},
    {"inline, empty line", "\r\nPING\r\n", "[][PING]"},
    {"inline, quotes", "ECHO \"a b\\n\\x41\\\"\" 'c\\'d \\n'\r\n", "[ECHO|a b\nA\"|c'd \\n]"},
    {"inline, empty quotes", "ECHO \"\" ''\r\n", "[ECHO||]"},
    {"inline, quote open", "ECHO \"abc\r\n", "!Protocol error: unbalanced quotes in request"},
    {"inline, text behind a quote", "ECHO \"abc\"d\r\n", "!Protocol error: unbalanced quotes in request"},
    {"inline, too long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "!Protocol error: too big inline request"},
    {"inline, too many words", "a b c d e f g h i\r\n", "!Protocol error: too many words"},
    {"inline then array", "PING\r\n*1\r\n$4\r\nPING\r\n", "[PING][PING]"},
    {"incomplete count", "*1", "..."},
    {"incomplete size", "*1\r\n$4\r", "..."},
    {"incomplete word", "*1\r\n$4\r\nPIN", "..."},
    {"incomplete end", "*1\r\n$4\r\nPING\r", "..."},
    {"count no number", "*x\r\n", "!Protocol error: invalid multibulk length"},
    {"count empty", "*\r\n", "!Protocol error: invalid multibulk length"},
    {"count only a minus", "*-\r\n", "!Protocol error: invalid multibulk length"},
    {"count too large", "*9\r\n", "!Protocol error: invalid multibulk length"},
    {"count far too large", "*99999999999999999999\r\n", "!Protocol error: invalid multibulk length"},
    {"count with a blank", "*1 \r\n", "!Protocol error: invalid multibulk length"},
    {"no dollar", "*1\r\n+OK\r\n", "!Protocol error: expected '$', got '+'"},
    {"no dollar but a control character", "*1\r\n\x01OK\r\n", "!Protocol error: expected '$', got '?'"},
    {"size negative", "*1\r\n$-1\r\n", "!Protocol error: invalid bulk length"},
    {"size too large", "*1\r\n$65\r\n", "!Protocol error: invalid bulk length"},
    {"size far too large", "*1\r\n$184467440737095516160\r\n", "!Protocol error: invalid bulk length"},
    {"word without its end", "*1\r\n$4\r\nPINGxx", "!Protocol error: expected the end of a line behind a word"},
    {"size without carriage return", "*1\r\n$4\nPING\r\n", "!Protocol error: invalid bulk length"},
    {"leading zeros", "*1\r\n$00000000000000000000000000000000001\r\nx\r\n", "!Protocol error: invalid bulk length"},
    {"fewer", "*1\r\n$0001\r\nx\r\n", "[x]"},
    {"leading zeros without end", "*1\r\n$0000000000000000000000000000000000000000",
     "!Protocol error: invalid bulk length"},
    {"request too large",
     "*8\r\n$60\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
     "$60\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
     "$60\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
     "$60\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
     "!Protocol error: too big request"},
    {"a refusal ends it", "*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
     "[PING]!Protocol error: invalid multibulk length"},
};

static void test_requests_split_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct cairn_bytes input = cairn_str(requests[i].input);
        char *got = parse_all(input, NULL, 0);
        size_t every[512];

        if (strcmp(got, requests[i].want) != 0)
            fail_msg("%s: got %s, want %s", requests[i].label, got, requests[i].want);
        free(got);
        for (size_t cut = 0; cut <= input.size; cut++) {
            got = parse_all(input, &cut, 1);
            if (strcmp(got, requests[i].want) != 0)
                fail_msg("%s, cut at %zu: got %s, want %s", requests[i].label, cut, got, requests[i].want);
            free(got);
        }
        for (size_t cut = 0; cut < input.size; cut++)
            every[cut] = cut + 1;
        got = parse_all(input, every, input.size);
        if (strcmp(got, requests[i].want) != 0)
            fail_msg("%s, byte by byte: got %s, want %s", requests[i].label, got, requests[i].want);
        free(got);
    }
}

/* More words than fit without an allocation. */
static void test_many_words(void **state)
{
    static const struct cairn_resp_limits wide = {4096, 64, 1 << 20, 48};
    struct cairn_resp_parser parser = {0};
    struct cairn_buf input = {0};
    struct cairn_err err;
    size_t used;

    (void)state;
    for (uint32_t count = 1; count <= 4096; count = count < 40 ? count + 1 : count * 2) {
        input.size = 0;
        cairn_buf_printf(&input, "*%u\r\n", count);
        for (uint32_t i = 0; i < count; i++) {
            char word[16];

            snprintf(word, sizeof word, "%u", i);
            cairn_resp_text(&input, word);
        }
        assert_int_equal(cairn_resp_parse(&parser, &wide, cairn_buf_bytes(&input), &used, &err), CAIRN_RESP_REQUEST);
        assert_int_equal(used, input.size);
        assert_int_equal(parser.count, count);
        for (uint32_t i = 0; i < count; i++) {
            char word[16];

            snprintf(word, sizeof word, "%u", i);
            assert_true(cairn_bytes_equal(cairn_resp_word(&parser, cairn_buf_bytes(&input), i), cairn_str(word)));
        }
    }
    cairn_resp_parser_done(&parser);
    cairn_buf_done(&input);
}

/* Random pipelines, cut at random places, give the words that were put in. */
static void test_random_pipelines(void **state)
{
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 42);
    for (int round = 0; round < 2000; round++) {
        struct cairn_buf input = {0}, want = {0};
        size_t cuts[8], cut_count = 0;
        char *got;

        for (uint64_t n = 1 + cairn_random_below(&random, 5); n > 0; n--) {
            uint64_t words = 1 + cairn_random_below(&random, 5);

            cairn_resp_array(&input, words);
            cairn_buf_u8(&want, '[');
            for (uint64_t w = 0; w < words; w++) {
                uint8_t word[40];
                size_t size = cairn_random_below(&random, sizeof word);

                for (size_t i = 0; i < size; i++)
                    word[i] = (uint8_t)(1 + cairn_random_below(&random, 255));
                cairn_resp_bulk(&input, cairn_bytes(word, size));
                if (w)
                    cairn_buf_u8(&want, '|');
                cairn_buf_add(&want, word, size);
            }
            cairn_buf_u8(&want, ']');
        }
        cairn_buf_u8(&want, 0);
        for (size_t at = 0; cut_count < 8; cut_count++) {
            at += cairn_random_below(&random, 60);
            if (at >= input.size)
                break;
            cuts[cut_count] = at;
        }
        got = parse_all(cairn_buf_bytes(&input), cuts, cut_count);
        assert_string_equal(got, (char *)want.data);
        free(got);
        cairn_buf_done(&input);
        cairn_buf_done(&want);
    }
}

/* --- replies --- */

static void check(struct cairn_buf *got, const char *want)
{
    cairn_buf_u8(got, 0);
    assert_string_equal((char *)got->data, want);
    got->size = 0;
}

static void test_replies(void **state)
{
    struct cairn_buf to = {0};

    (void)state;
    cairn_resp_simple(&to, "OK");
    check(&to, "+OK\r\n");
    cairn_resp_error(&to, "ERR", "two\r\nlines");
    check(&to, "-ERR two  lines\r\n");
    cairn_resp_int(&to, 0);
    cairn_resp_int(&to, -1);
    cairn_resp_int(&to, INT64_MAX);
    cairn_resp_int(&to, INT64_MIN);
    check(&to, ":0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
    cairn_resp_bulk(&to, cairn_bytes(NULL, 0));
    cairn_resp_text(&to, "hello");
    check(&to, "$0\r\n\r\n$5\r\nhello\r\n");
    cairn_resp_null(&to, 2);
    cairn_resp_null(&to, 3);
    check(&to, "$-1\r\n_\r\n");
    cairn_resp_map(&to, 2, 3);
    cairn_resp_map(&to, 3, 3);
    cairn_resp_array(&to, 12);
    check(&to, "*6\r\n%3\r\n*12\r\n");
    cairn_resp_error_value(&to, cairn_str("key_reused"), cairn_str("a\nb"));
    cairn_resp_error_value(&to, cairn_str("my code: 7"), cairn_str("x"));
    cairn_resp_error_value(&to, cairn_str(""), cairn_str("x"));
    check(&to, "-KEY_REUSED a b\r\n-MY_CODE__7 x\r\n-ERR x\r\n");
    cairn_buf_done(&to);
}

static void test_values(void **state)
{
    struct cairn_buf value = {0}, to = {0};

    (void)state;
    cairn_value_add_list(&value, 5);
    cairn_value_add_nil(&value);
    cairn_value_add_int(&value, 7);
    cairn_value_add_bytes(&value, cairn_str("x"));
    cairn_value_add_list(&value, 0);
    cairn_value_add_error(&value, cairn_str("partial"), cairn_str("1 of 2"));
    assert_true(cairn_resp_value(&to, 2, cairn_buf_bytes(&value)));
    check(&to, "*5\r\n$-1\r\n:7\r\n$1\r\nx\r\n*0\r\n-PARTIAL 1 of 2\r\n");
    assert_true(cairn_resp_value(&to, 3, cairn_buf_bytes(&value)));
    check(&to, "*5\r\n_\r\n:7\r\n$1\r\nx\r\n*0\r\n-PARTIAL 1 of 2\r\n");
    /* Every prefix, and more than the whole, is no value; nothing is left behind of it. */
    cairn_buf_str(&to, "before");
    for (size_t size = 0; size < value.size; size++) {
        assert_false(cairn_resp_value(&to, 2, cairn_bytes(value.data, size)));
        assert_int_equal(to.size, 6);
    }
    cairn_buf_u8(&value, 0);
    assert_false(cairn_resp_value(&to, 2, cairn_buf_bytes(&value)));
    assert_int_equal(to.size, 6);
    cairn_buf_done(&value);
    cairn_buf_done(&to);
}

static void test_nesting(void **state)
{
    struct cairn_buf value = {0}, to = {0};

    (void)state;
    for (int i = 0; i < CAIRN_VALUE_DEPTH_MAX; i++)
        cairn_value_add_list(&value, 1);
    cairn_value_add_nil(&value);
    assert_true(cairn_resp_value(&to, 2, cairn_buf_bytes(&value)));
    value.size = to.size = 0;
    for (int i = 0; i < CAIRN_VALUE_DEPTH_MAX + 1; i++)
        cairn_value_add_list(&value, 1);
    cairn_value_add_nil(&value);
    assert_false(cairn_resp_value(&to, 2, cairn_buf_bytes(&value)));
    assert_int_equal(to.size, 0);
    value.size--; /* the innermost list is empty: still one level too many */
    value.data[value.size - 1] = 0;
    assert_false(cairn_value_valid(cairn_buf_bytes(&value)));
    assert_false(cairn_resp_value(&to, 2, cairn_buf_bytes(&value)));
    cairn_buf_done(&value);
    cairn_buf_done(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_split_anywhere),
        cmocka_unit_test(test_many_words),
        cmocka_unit_test(test_random_pipelines),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_nesting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
