/* Would catch: a code that the reference does not list, or lists with another status, prefix, effect or advice than the
 * node gives; a status without a reason phrase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/errors.h"
#include "proto/resp.h"

/* The n-th cell (from 1) of a table's row, without blanks and backticks. */
static void cell(const char *row, int n, char *to, size_t size)
{
    size_t used = 0;

    for (; *row && n > 0; row++)
        n -= *row == '|';
    while (*row == ' ')
        row++;
    for (; *row && *row != '|' && used + 1 < size; row++)
        if (*row != '`')
            to[used++] = *row;
    while (used && to[used - 1] == ' ')
        used--;
    to[used] = 0;
}

static void check_row(const char *row, const char *name, const struct cairn_error_meaning *meaning)
{
    char text[64], want[64];

    cell(row, 2, text, sizeof text);
    snprintf(want, sizeof want, "%u", meaning->http_status);
    if (strcmp(text, want) != 0)
        fail_msg("%s: the reference says status %s, the node %s", name, text, want);
    cell(row, 4, text, sizeof text);
    if (strcmp(text, cairn_effects_name(meaning->effects)) != 0)
        fail_msg("%s: the reference says effects %s, the node %s", name, text, cairn_effects_name(meaning->effects));
    cell(row, 5, text, sizeof text);
    if (strcmp(text, cairn_retry_name(meaning->retry)) != 0)
        fail_msg("%s: the reference says retry %s, the node %s", name, text, cairn_retry_name(meaning->retry));
    assert_true(cairn_http_reason(meaning->http_status)[0]);
}

static void check_prefix(const char *row, const char *name)
{
    struct cairn_buf reply = {0};
    char text[64], want[80];

    cairn_resp_error_value(&reply, cairn_str(name), cairn_str("x"));
    cairn_buf_u8(&reply, 0);
    cell(row, 3, text, sizeof text);
    snprintf(want, sizeof want, "-%s x\r\n", text);
    assert_string_equal((char *)reply.data, want);
    cairn_buf_done(&reply);
}

static void test_reference(void **state)
{
    FILE *file = fopen("docs/reference/errors.md", "r");
    bool seen[CAIRN_CODE_COUNT] = {false}, own = false;
    char row[512], name[64];

    (void)state;
    if (!file)
        fail_msg("docs/reference/errors.md is not there: run tests in the checkout");
    while (fgets(row, sizeof row, file)) {
        if (strncmp(row, "| *a method's own* |", 20) == 0) {
            own = true;
            check_row(row, "a method's own", cairn_error_meaning(cairn_str("anything")));
        }
        if (strncmp(row, "| `", 3) != 0)
            continue;
        cell(row, 1, name, sizeof name);
        if (cairn_code_by_name(name, strlen(name)) == CAIRN_CODE_COUNT)
            fail_msg("the reference lists '%s', which the node does not know", name);
        assert_false(seen[cairn_code_by_name(name, strlen(name))]);
        seen[cairn_code_by_name(name, strlen(name))] = true;
        check_row(row, name, cairn_error_meaning(cairn_str(name)));
        check_prefix(row, name);
    }
    fclose(file);
    assert_true(own);
    for (int code = CAIRN_OK + 1; code < CAIRN_CODE_COUNT; code++)
        if (!seen[code])
            fail_msg("the reference does not list '%s'", cairn_code_name((enum cairn_code)code));
    assert_false(seen[CAIRN_OK]);
}

static void test_own_codes(void **state)
{
    (void)state;
    assert_ptr_equal(cairn_error_meaning(cairn_str("")), cairn_error_meaning_of(CAIRN_CODE_COUNT));
    assert_ptr_equal(cairn_error_meaning(cairn_str("ok")), cairn_error_meaning_of(CAIRN_CODE_COUNT));
    assert_ptr_equal(cairn_error_meaning(cairn_str("not_found")), cairn_error_meaning_of(CAIRN_ENOTFOUND));
    assert_ptr_equal(cairn_error_meaning(cairn_bytes("not_found\0", 10)), cairn_error_meaning_of(CAIRN_CODE_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_own_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
