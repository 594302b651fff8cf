/* Would catch: spans that are no JSON, whatever stands in names, ids and errors; numbers of 64 bits that are none of
 * proto3's JSON; phases that leave time out, or lie outside of their span; requests that grow beyond their bound, or
 * leave spans out; a phase whose id is another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "object/span.h"
#include "server/otlp.h"

struct made {
    uint64_t span, parent, kind;
    const char *type, *id, *method, *error;
    int64_t begin_ns, end_ns, at[SPAN_PHASES_NOTED];
    uint32_t phases;
};

static void add(struct cairn_buf *to, const struct made *made)
{
    static const uint8_t job[CAIRN_JOB_ID_BYTES] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                                    0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
    struct cairn_buf one = {0};
    uint8_t size[4];

    cairn_value_add_list(&one, SPAN_FIELDS);
    cairn_value_add_bytes(&one, cairn_bytes(job, sizeof job));
    cairn_value_add_int(&one, (int64_t)made->span);
    cairn_value_add_int(&one, (int64_t)made->parent);
    cairn_value_add_int(&one, (int64_t)made->kind);
    cairn_value_add_bytes(&one, cairn_str(made->type));
    cairn_value_add_bytes(&one, cairn_str(made->id));
    cairn_value_add_bytes(&one, cairn_str(made->method));
    cairn_value_add_int(&one, made->begin_ns);
    cairn_value_add_int(&one, made->end_ns);
    cairn_value_add_bytes(&one, cairn_str(made->error));
    cairn_value_add_bytes(&one, cairn_str("why \"so\"\n"));
    cairn_value_add_list(&one, 6);
    for (int i = 0; i < 6; i++)
        cairn_value_add_int(&one, INT64_MAX - i);
    cairn_value_add_list(&one, 2 * made->phases);
    for (uint32_t i = 0; i < made->phases; i++) {
        cairn_value_add_int(&one, i % SPAN_PHASES);
        cairn_value_add_int(&one, made->at[i]);
    }
    cairn_value_add_int(&one, 0);
    cairn_put_u32(size, (uint32_t)one.size);
    cairn_buf_add(to, size, sizeof size);
    cairn_buf_add(to, one.data, one.size);
    cairn_buf_done(&one);
}

static const char *text_of(const cJSON *in, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(in, name);

    if (!cJSON_IsString(item))
        fail_msg("%s is no string", name);
    return item->valuestring;
}

static int64_t time_of(const cJSON *span, const char *name)
{
    return strtoll(text_of(span, name), NULL, 10);
}

/* The spans of one request. */
static cJSON *parse(const struct cairn_buf *json, const cJSON **ret_spans)
{
    cJSON *root = cJSON_ParseWithLength((const char *)json->data, json->size);
    const cJSON *at = root;
    static const char *const way[] = {"resourceSpans", "scopeSpans"};

    assert_non_null(root);
    for (int i = 0; i < 2; i++) {
        at = cJSON_GetObjectItemCaseSensitive(at, way[i]);
        assert_true(cJSON_IsArray(at) && cJSON_GetArraySize(at) == 1);
        at = cJSON_GetArrayItem(at, 0);
    }
    *ret_spans = cJSON_GetObjectItemCaseSensitive(at, "spans");
    assert_true(cJSON_IsArray(*ret_spans));
    return root;
}

static const struct made table[] = {
    {1, 0, SPAN_REQUEST, "User", "alice", "post", "", 1000, 5000, {0, 10, 500, 3000}, 4},
    {UINT64_MAX, 1, SPAN_CALL, "User", "\"\\\n\x01", "m", "trapped", 1000, 1000, {0, 0, 0}, 3},
    {INT64_MAX, UINT64_MAX, SPAN_MESSAGE, "T", "\xff\xc3\x28\xf0", "m", "x\"y", INT64_MAX - 10, INT64_MAX, {0, 5}, 2},
    {7, 7, SPAN_RESUMED, "T", "i", "m", "", 5, 6, {0}, 1},
    {8, 7, 99, "T", "i", "m", "", 5, 6, {0}, 0},
};

enum { TABLE = sizeof table / sizeof *table };

static void spans_are_as_a_collector_has_them(void **state)
{
    (void)state;
    for (int i = 0; i < TABLE; i++) {
        const struct made *made = &table[i];
        struct cairn_buf spans = {0}, json = {0};
        struct cairn_reader r;
        const cJSON *list, *span, *first;
        int64_t until = made->begin_ns;
        char id[CAIRN_SPAN_ID_DIGITS + 1];
        cJSON *root;

        add(&spans, made);
        r = cairn_reader(cairn_buf_bytes(&spans));
        assert_int_equal(cairn_otlp_add(&json, &r, 1 << 20), 1);
        assert_int_equal(cairn_otlp_add(&json, &r, 1 << 20), 0);
        root = parse(&json, &list);
        first = cJSON_GetArrayItem(list, 0);
        cairn_span_id_write(made->span, id);
        assert_string_equal(text_of(first, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_string_equal(text_of(first, "spanId"), id);
        assert_int_equal(cJSON_HasObjectItem(first, "parentSpanId"), made->parent != 0);
        assert_int_equal(time_of(first, "startTimeUnixNano"), made->begin_ns);
        assert_int_equal(time_of(first, "endTimeUnixNano"), made->end_ns);
        assert_int_equal(cJSON_HasObjectItem(first, "status"), made->error[0] != 0);
        assert_non_null(strchr(text_of(first, "name"), '.'));
        cJSON_ArrayForEach(span, list)
        {
            if (span == first)
                continue;
            assert_string_equal(text_of(span, "parentSpanId"), id);
            assert_string_not_equal(text_of(span, "spanId"), id);
            assert_int_equal(time_of(span, "startTimeUnixNano"), until);
            until = time_of(span, "endTimeUnixNano");
        }
        assert_int_equal(until, made->phases ? made->end_ns : made->begin_ns); /* no time is left out */
        cJSON_Delete(root);
        cairn_buf_done(&spans);
        cairn_buf_done(&json);
    }
}

static void requests_are_bounded(void **state)
{
    struct cairn_buf spans = {0}, json = {0};
    struct cairn_reader r;
    uint64_t sum = 0, count;

    (void)state;
    for (int i = 0; i < 1000; i++)
        add(&spans, &table[i % TABLE]);
    r = cairn_reader(cairn_buf_bytes(&spans));
    while (json.size = 0, (count = cairn_otlp_add(&json, &r, 20000)) > 0) {
        const cJSON *list;
        cJSON *root = parse(&json, &list);

        assert_true(json.size < 20000 + 5000);
        sum += count;
        cJSON_Delete(root);
    }
    assert_int_equal(sum, 1000);
    cairn_buf_done(&spans);
    cairn_buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_as_a_collector_has_them),
        cmocka_unit_test(requests_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
