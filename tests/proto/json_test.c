/* Would catch: arguments that lose digits, bytes or text on the way in; JSON that is not JSON taken for it; results
 * that a JSON parser (cJSON) reads differently; a base64 cursor that does not come back as it went; text that is
 * escaped otherwise than character by character; escaping that takes so long again that a large entry holds its worker
 * up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/random.h"
#include "proto/json.h"

#define DEEP(open, close) open open open open open open open open close close close close close close close close

static const struct {
    const char *label, *input, *want; /* arguments, each behind a bar; NULL: refused */
} arguments[] = {
    {"nothing", "", ""},
    {"blanks", " \r\n\t ", ""},
    {"empty array", " [ ] ", ""},
    {"a string", "[\"hello\"]", "|hello"},
    {"two", "[\"a\",\"b\"]", "|a|b"},
    {"an empty string", "[\"\"]", "|"},
    {"escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "|\"\\/\b\f\n\r\t"},
    {"unicode escapes", "[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]", "|A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"UTF-8", "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]", "|\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"numbers keep their digits", "[9007199254740993,-0,1.50,1e3,-2.5E-7]", "|9007199254740993|-0|1.50|1e3|-2.5E-7"},
    {"words", "[true,false,null]", "|true|false|null"},
    {"nested text as it is", "[{\"a\": [1, 2 ]}, [ ], {}, [[\"x\"]]]", "|{\"a\": [1, 2 ]}|[ ]|{}|[[\"x\"]]"},
    {"nested 8 deep", "[" DEEP("[", "]") "]", "|" DEEP("[", "]")},

    {"no array", "\"hello\"", NULL},
    {"an object", "{}", NULL},
    {"open array", "[", NULL},
    {"open array with comma", "[1,", NULL},
    {"comma before the end", "[1,]", NULL},
    {"two commas", "[1,,2]", NULL},
    {"no comma", "[1 2]", NULL},
    {"something behind", "[1] x", NULL},
    {"string without end", "[\"abc", NULL},
    {"escape without end", "[\"\\", NULL},
    {"unknown escape", "[\"\\x41\"]", NULL},
    {"NUL escape by a NUL", "[\"\\", NULL},
    {"short unicode", "[\"\\u12\"]", NULL},
    {"half a pair", "[\"\\ud83d\"]", NULL},
    {"half a pair, the other half", "[\"\\ude00\"]", NULL},
    {"a pair of first halves", "[\"\\ud83d\\ud83d\"]", NULL},
    {"a control character", "[\"a\nb\"]", NULL},
    {"broken UTF-8", "[\"\xc3(\"]", NULL},
    {"overlong UTF-8", "[\"\xc0\xaf\"]", NULL},
    {"surrogate in UTF-8", "[\"\xed\xa0\x80\"]", NULL},
    {"beyond Unicode", "[\"\xf4\x90\x80\x80\"]", NULL},
    {"cut UTF-8", "[\"\xe2\x82", NULL},
    {"leading zero", "[01]", NULL},
    {"plus", "[+1]", NULL},
    {"only a minus", "[-]", NULL},
    {"a dot and nothing", "[1.]", NULL},
    {"an exponent and nothing", "[1e]", NULL},
    {"an exponent's sign and nothing", "[1e+]", NULL},
    {"hexadecimal", "[0x10]", NULL},
    {"not a number", "[NaN]", NULL},
    {"a word cut short", "[tru]", NULL},
    {"single quotes", "['a']", NULL},
    {"object without colon", "[{\"a\" 1}]", NULL},
    {"object without key", "[{1:2}]", NULL},
    {"object with a comma too many", "[{\"a\":1,}]", NULL},
    {"brackets of two kinds", "[[1}]", NULL},
};

static char *packed_text(const struct cairn_buf *packed)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(packed));
    struct cairn_buf text = {0};

    while (cairn_reader_left(&r)) {
        struct cairn_bytes arg = cairn_read_bytes(&r, cairn_read_u32(&r));

        assert_false(r.bad);
        cairn_buf_u8(&text, '|');
        cairn_buf_add(&text, arg.data, arg.size);
    }
    cairn_buf_u8(&text, 0);
    return (char *)text.data;
}

static void test_arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        struct cairn_buf packed = {0};
        struct cairn_err err;
        size_t size = strlen(arguments[i].input);
        uint8_t *exact = malloc(size ? size : 1); /* no byte behind it */
        enum cairn_code code;

        memcpy(exact, arguments[i].input, size);
        cairn_buf_u8(&packed, 'x');
        code = cairn_json_args(cairn_bytes(exact, size), 100, &packed, &err);
        assert_int_equal(packed.data[0], 'x');
        cairn_buf_consume(&packed, 1);
        if (arguments[i].want) {
            char *got;

            if (code != CAIRN_OK)
                fail_msg("%s: refused: %s", arguments[i].label, err.text);
            got = packed_text(&packed);
            if (strcmp(got, arguments[i].want) != 0)
                fail_msg("%s: got %s, want %s", arguments[i].label, got, arguments[i].want);
            free(got);
        } else if (code != CAIRN_EINVAL || packed.size != 0) {
            fail_msg("%s: taken", arguments[i].label);
        }
        free(exact);
        cairn_buf_done(&packed);
    }
}

static void test_zero_byte_and_bounds(void **state)
{
    struct cairn_buf packed = {0}, deep = {0};
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_json_args(cairn_str("[\"a\\u0000b\"]"), 1, &packed, &err), CAIRN_OK);
    assert_int_equal(packed.size, 7);
    assert_memory_equal(packed.data, "\3\0\0\0a\0b", 7);
    assert_int_equal(cairn_json_args(cairn_str("[1,2,3]"), 2, &packed, &err), CAIRN_ELIMIT);
    assert_int_equal(packed.size, 7);
    assert_int_equal(cairn_json_args(cairn_bytes("[\"a\0\"]", 6), 2, &packed, &err), CAIRN_EINVAL);

    for (int depth = CAIRN_JSON_DEPTH_MAX; depth <= CAIRN_JSON_DEPTH_MAX + 1; depth++) {
        deep.size = 0;
        cairn_buf_u8(&deep, '[');
        for (int i = 0; i < depth; i++)
            cairn_buf_str(&deep, i % 2 ? "[" : "{\"k\":");
        cairn_buf_u8(&deep, '1');
        for (int i = depth - 1; i >= 0; i--)
            cairn_buf_u8(&deep, i % 2 ? ']' : '}');
        cairn_buf_u8(&deep, ']');
        assert_int_equal(cairn_json_args(cairn_buf_bytes(&deep), 2, &packed, &err),
                         depth > CAIRN_JSON_DEPTH_MAX ? CAIRN_EINVAL : CAIRN_OK);
    }
    cairn_buf_done(&packed);
    cairn_buf_done(&deep);
}

/* --- out --- */

static void check(struct cairn_buf *got, const char *want)
{
    cairn_buf_u8(got, 0);
    assert_string_equal((char *)got->data, want);
    got->size = 0;
}

static void test_values(void **state)
{
    struct cairn_buf value = {0}, to = {0};

    (void)state;
    cairn_value_add_list(&value, 8);
    cairn_value_add_nil(&value);
    cairn_value_add_int(&value, INT64_MIN);
    cairn_value_add_bytes(&value, cairn_str("a\"\\\n\x01\x7f\xc3\xa9"));
    cairn_value_add_bytes(&value, cairn_bytes("\xff\x00\xfe", 3));
    cairn_value_add_list(&value, 0);
    cairn_value_add_list(&value, 2);
    cairn_value_add_int(&value, 1);
    cairn_value_add_list(&value, 1);
    cairn_value_add_int(&value, 2);
    cairn_value_add_error(&value, cairn_str("partial"), cairn_str("1\" of 2"));
    cairn_value_add_bytes(&value, cairn_bytes("a\0b", 3));
    assert_true(cairn_json_value(&to, cairn_buf_bytes(&value)));
    check(&to, "[null,-9223372036854775808,\"a\\\"\\\\\\n\\u0001\x7f\xc3\xa9\",{\"base64\":\"/wD+\"},[],[1,[2]],"
               "{\"error\":{\"code\":\"partial\",\"message\":\"1\\\" of 2\"}},\"a\\u0000b\"]");
    for (size_t size = 0; size < value.size; size++) {
        assert_false(cairn_json_value(&to, cairn_bytes(value.data, size)));
        assert_int_equal(to.size, 0);
    }
    cairn_json_text(&to, cairn_bytes("a\xff\xc3\xa9", 4));
    check(&to, "\"a\xef\xbf\xbd\xc3\xa9\"");
    cairn_json_field(&to, cairn_str("text"));
    check(&to, "\"text\"");
    cairn_json_field(&to, cairn_buf_bytes(&value));
    assert_memory_equal(to.data, "{\"value\":[null,", 15);
    to.size = 0;
    cairn_json_field(&to, cairn_bytes("\x03\x05", 2)); /* begins like a value */
    check(&to, "\"\\u0003\\u0005\"");
    cairn_buf_done(&value);
    cairn_buf_done(&to);
}

static void add_random(struct cairn_random *random, struct cairn_buf *value, int depth)
{
    uint8_t bytes[24];
    uint64_t n = cairn_random_below(random, sizeof bytes);

    switch (cairn_random_below(random, depth > 4 ? 4 : 6)) {
    case 0:
        cairn_value_add_nil(value);
        break;
    case 1:
        cairn_value_add_int(value, (int64_t)cairn_random_u64(random) >> cairn_random_below(random, 64));
        break;
    case 2:
        for (uint64_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)cairn_random_below(random, 128);
        cairn_value_add_bytes(value, cairn_bytes(bytes, n));
        break;
    case 3:
        cairn_random_fill(random, bytes, n);
        if (cairn_random_below(random, 2))
            cairn_value_add_bytes(value, cairn_bytes(bytes, n));
        else
            cairn_value_add_error(value, cairn_bytes(bytes, n / 2), cairn_bytes(bytes, n));
        break;
    default:
        n = cairn_random_below(random, 5);
        cairn_value_add_list(value, n);
        while (n-- > 0)
            add_random(random, value, depth + 1);
    }
}

/* What is written, another parser reads; and as an argument it comes back as the same text. */
static void test_random_values(void **state)
{
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 7);
    for (int round = 0; round < 5000; round++) {
        struct cairn_buf value = {0}, text = {0}, packed = {0};
        struct cairn_err err;
        cJSON *tree;

        add_random(&random, &value, 0);
        assert_true(cairn_value_valid(cairn_buf_bytes(&value)));
        cairn_buf_u8(&text, '[');
        assert_true(cairn_json_value(&text, cairn_buf_bytes(&value)));
        cairn_buf_u8(&text, ']');
        tree = cJSON_ParseWithLength((const char *)text.data, text.size);
        if (!tree)
            fail_msg("cJSON does not read %.*s", (int)text.size, (char *)text.data);
        cJSON_Delete(tree);
        if (cairn_json_args(cairn_buf_bytes(&text), 10, &packed, &err) != CAIRN_OK)
            fail_msg("not read again: %s: %.*s", err.text, (int)text.size, (char *)text.data);
        if (text.data[1] != '"') {
            assert_int_equal(packed.size, text.size - 2 + 4);
            assert_memory_equal(packed.data + 4, text.data + 1, text.size - 2);
        }
        cairn_buf_done(&value);
        cairn_buf_done(&text);
        cairn_buf_done(&packed);
    }
}

static void test_base64(void **state)
{
    static const char *const plain[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"}; /* RFC 4648, 10 */
    static const char *const bad[] = {"A", "AAAAA", "AB", "AAB", "Zg==", "Z g", "+/+/"};
    struct cairn_buf to = {0}, back = {0};
    uint8_t bytes[64];
    struct cairn_random random;

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        cairn_base64_add(&to, cairn_bytes("foobar", i), false);
        check(&to, plain[i]);
    }
    cairn_random_init(&random, 3);
    for (size_t size = 0; size < sizeof bytes; size++) {
        cairn_random_fill(&random, bytes, size);
        to.size = back.size = 0;
        cairn_base64_add(&to, cairn_bytes(bytes, size), true);
        assert_true(cairn_base64_url_read(cairn_buf_bytes(&to), &back));
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&back), cairn_bytes(bytes, size)));
    }
    back.size = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cairn_base64_url_read(cairn_str(bad[i]), &back))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(back.size, 0);
    }
    cairn_buf_done(&to);
    cairn_buf_done(&back);
}

/* The text of a JSON string, which `json` has: its only argument as it is read back. */
static void packed_of(const struct cairn_buf *text, struct cairn_buf *json)
{
    struct cairn_buf array = {0};
    struct cairn_err err;

    cairn_buf_u8(&array, '[');
    cairn_buf_add(&array, json->data, json->size);
    cairn_buf_u8(&array, ']');
    json->size = 0;
    assert_int_equal(cairn_json_args(cairn_buf_bytes(&array), 1, json, &err), CAIRN_OK);
    assert_int_equal(cairn_get_u32(json->data), text->size);
    cairn_buf_consume(json, 4);
    cairn_buf_done(&array);
}

/* The same by the letter of the standard. */
static void escape_slowly(struct cairn_buf *to, const uint8_t *at, size_t size)
{
    cairn_buf_u8(to, '"');
    for (; size; at++, size--) {
        const char *names = "\"\"\\\\\nn\rr\tt", *name = names;
        char escape[8];

        while (*name && (uint8_t)*name != *at)
            name += 2;
        snprintf(escape, sizeof escape, *at < 0x20 ? "\\u%04x" : "%c", *at);
        if (*at && *name) {
            escape[0] = '\\';
            escape[1] = name[1];
            escape[2] = 0;
        }
        cairn_buf_str(to, escape);
    }
    cairn_buf_u8(to, '"');
}

static void test_escaping(void **state)
{
    static const char *const pieces[] = {
        "plain text",       "\"", "\\", "\n", "\r", "\t", "\x01", "\x1f", "\x7f", "\xc3\xa9", "\xe2\x82\xac",
        "\xf0\x9f\x98\x80", " ",  "!",  "#",  "[",  "]"};
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 7);
    for (int i = 0; i < 3000; i++) {
        struct cairn_buf text = {0}, want = {0}, got = {0};
        size_t size = i % 100 ? cairn_random_below(&random, 60) : 4090 + cairn_random_below(&random, 5000);

        while (text.size < size)
            cairn_buf_str(&text, pieces[cairn_random_below(&random, sizeof pieces / sizeof *pieces)]);
        escape_slowly(&want, text.data, text.size);
        cairn_json_bytes(&got, cairn_buf_bytes(&text));
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, want.size);
        got.size = 0;
        cairn_json_text(&got, cairn_buf_bytes(&text));
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, want.size);
        packed_of(&text, &got);
        assert_int_equal(got.size, text.size);
        assert_memory_equal(got.data, text.data, text.size);
        cairn_buf_done(&text);
        cairn_buf_done(&want);
        cairn_buf_done(&got);
    }
}

static double thread_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Two appends for each character, as it was done once: what it is compared with. */
static void escape_each(struct cairn_buf *to, const uint8_t *at, size_t size)
{
    static const char hex[] = "0123456789abcdef";

    for (const uint8_t *end = at + size; at < end; at++) {
        uint8_t escape[6] = {'\\', 'u', '0', '0', (uint8_t)hex[*at >> 4], (uint8_t)hex[*at & 15]};

        cairn_buf_add(to, at, 0);
        cairn_buf_add(to, escape, sizeof escape);
    }
}

static void test_large_text_is_quick(void **state)
{
    enum { BYTES = 1 << 20 };
    uint8_t *text = malloc(BYTES);
    struct cairn_buf to = {0};
    double quick = 1e9, slow = 1e9;

    (void)state;
    memset(text, 1, BYTES);
    for (int i = 0; i < 8; i++) { /* the first makes the memory */
        double begin = thread_ms(), middle, end;

        to.size = 0;
        cairn_json_bytes(&to, cairn_bytes(text, BYTES));
        middle = thread_ms();
        to.size = 0;
        escape_each(&to, text, BYTES);
        end = thread_ms();
        if (i && middle - begin < quick)
            quick = middle - begin;
        if (i && end - middle < slow)
            slow = end - middle;
    }
    print_message("1 MiB of control characters: %.2f ms; with two appends for each %.2f ms\n", quick, slow);
    assert_true(quick * 2 < slow);
    cairn_buf_done(&to);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_zero_byte_and_bounds),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_random_values),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_large_text_is_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
