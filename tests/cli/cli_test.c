/* Would catch: flags read wrongly, wrong usage that is not told or has another exit status, values and fields shown
 * wrongly or with what a terminal would obey, commands whose tables are broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"

struct options {
    bool loud;
    const char *name;
    uint64_t number;
};

static const struct cairn_flag flags[] = {
    {.name = "loud", .letter = 'l', .kind = CAIRN_FLAG_SWITCH, .help = "x", .offset = offsetof(struct options, loud)},
    {.name = "name",
     .letter = 'n',
     .kind = CAIRN_FLAG_TEXT,
     .value = "TEXT",
     .help = "x",
     .offset = offsetof(struct options, name)},
    {.name = "number",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "x",
     .min = 2,
     .max = 100,
     .offset = offsetof(struct options, number)},
    {0},
};

static const struct cairn_command command = {
    .name = "test",
    .arguments = "A [B]",
    .summary = "Tests",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = 2,
};

static const struct {
    const char *words[8];
    int exit; /* -1: goes on */
    struct options want;
    int left;
} lines[] = {
    {{"a"}, -1, {0}, 1},
    {{"a", "b"}, -1, {0}, 2},
    {{"--loud", "a"}, -1, {.loud = true}, 1},
    {{"a", "-l", "b"}, -1, {.loud = true}, 2},
    {{"--name", "x", "a"}, -1, {.name = "x"}, 1},
    {{"a", "--name=x=y"}, -1, {.name = "x=y"}, 1},
    {{"-nx", "a"}, -1, {.name = "x"}, 1},
    {{"-n", "x", "a"}, -1, {.name = "x"}, 1},
    {{"--name", "--loud", "a"}, -1, {.name = "--loud"}, 1},
    {{"--name=", "a"}, -1, {.name = ""}, 1},
    {{"--number", "100", "a"}, -1, {.number = 100}, 1},
    {{"--", "--loud", "-l"}, -1, {0}, 2},
    {{"a", "-"}, -1, {0}, 2},
    {{"-5", "a"}, -1, {0}, 2},
    {{"--help"}, 0, {0}, 0},
    {{"a", "-h"}, 0, {0}, 0},
    {{NULL}, 2, {0}, 0},
    {{"a", "b", "c"}, 2, {0}, 0},
    {{"--nosuch", "a"}, 2, {0}, 0},
    {{"--lou", "a"}, 2, {0}, 0},
    {{"-x", "a"}, 2, {0}, 0},
    {{"--loud=yes", "a"}, 2, {0}, 0},
    {{"a", "--name"}, 2, {0}, 0},
    {{"--number", "1", "a"}, 2, {0}, 0},
    {{"--number", "101", "a"}, 2, {0}, 0},
    {{"--number", "x", "a"}, 2, {0}, 0},
    {{"--number", "5x", "a"}, 2, {0}, 0},
    {{"--number", "-5", "a"}, 2, {0}, 0},
    {{"--number", "99999999999999999999", "a"}, 2, {0}, 0},
};

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void test_flags(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct options options = {0};
        int argc = 0, left = -1, status = -1;
        char *argv[8];
        bool good;

        while (argc < 8 && lines[i].words[argc]) {
            argv[argc] = (char *)lines[i].words[argc];
            argc++;
        }
        good = cairn_flags_parse(&command, argc, argv, &options, &left, &status);
        if (good != (lines[i].exit == -1) || (!good && status != lines[i].exit))
            fail_msg("line %zu: %d, status %d", i, good, status);
        if (good && (left != lines[i].left || options.loud != lines[i].want.loud ||
                     !same(options.name, lines[i].want.name) || options.number != lines[i].want.number))
            fail_msg("line %zu was read otherwise", i);
    }
}

/* Every command has what help and completion need, and answers --help. */
static void check_command(const struct cairn_command *one)
{
    char help[] = "--help", *argv[] = {help};

    assert_true(one->name && one->arguments && one->summary && *one->summary);
    for (size_t i = 0; one->subcommands && one->subcommands[i]; i++)
        check_command(one->subcommands[i]);
    for (const struct cairn_flag *flag = one->flags; flag && flag->name; flag++) {
        assert_non_null(flag->help);
        assert_int_equal(flag->kind == CAIRN_FLAG_SWITCH, flag->value == NULL);
        assert_true(strcmp(flag->name, "help") != 0 && flag->letter != 'h');
    }
    if (!one->subcommands)
        assert_int_equal(one->run(1, argv), CAIRN_EXIT_OK);
}

static void test_commands(void **state)
{
    (void)state;
    for (size_t i = 0; cairn_commands[i]; i++) {
        assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz", cairn_commands[i]->name[0]));
        check_command(cairn_commands[i]);
    }
}

static void check(struct cairn_buf *got, const char *want)
{
    cairn_buf_u8(got, 0);
    assert_string_equal((char *)got->data, want);
    got->size = 0;
}

static void test_values(void **state)
{
    struct cairn_buf value = {0}, text = {0};
    struct cairn_reader r;

    (void)state;
    cairn_value_add_list(&value, 6);
    cairn_value_add_nil(&value);
    cairn_value_add_int(&value, -5);
    cairn_value_add_bytes(&value, cairn_str("a \"b\" \xc3\xa9\n"));
    cairn_value_add_bytes(&value, cairn_bytes("\xff\x1b[2J", 5));
    cairn_value_add_list(&value, 0);
    cairn_value_add_error(&value, cairn_str("partial"), cairn_str("1 of 2"));
    r = cairn_reader(cairn_buf_bytes(&value));
    cairn_inline_value(&text, &r);
    check(&text, "[nil, -5, \"a \\\"b\\\" \xc3\xa9\\n\", \"\\xff\\x1b[2J\", [], error partial: \"1 of 2\"]");
    cairn_inline_field(&text, cairn_buf_bytes(&value));
    assert_memory_equal(text.data, "[nil, ", 6);
    text.size = 0;
    cairn_inline_field(&text, cairn_str("plain text"));
    check(&text, "plain text");
    cairn_inline_text(&text, cairn_str("a\x1b]0;title\x07"));
    check(&text, "\"a\\x1b]0;title\\x07\"");
    cairn_inline_text(&text, cairn_str("a\xc2\x9b"));
    check(&text, "\"a\\xc2\\x9b\"");
    cairn_inline_size(&text, 1023);
    cairn_inline_size(&text, 1024);
    cairn_inline_size(&text, 5u << 20);
    check(&text, "1023 bytes1.0 KiB5.0 MiB");
    cairn_buf_done(&value);
    cairn_buf_done(&text);
}

static void test_tables(void **state)
{
    static const char *const cells[] = {"NAME", "N", "WHAT", "caf\xc3\xa9", "12345", "x", "b", "1", ""};
    struct cairn_table table = {.columns = 3};
    char text[256] = "";
    FILE *to = fmemopen(text, sizeof text, "w");

    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        cairn_table_cell(&table, cairn_str(cells[i]));
    cairn_table_print(&table, to);
    fclose(to);
    assert_string_equal(text, "NAME  N      WHAT\n"
                              "caf\xc3\xa9  12345  x\n"
                              "b     1\n");
}

static void test_names(void **state)
{
    struct cairn_bytes type, id;

    (void)state;
    assert_true(cairn_object_name("User/a/b", &type, &id));
    assert_true(cairn_bytes_equal(type, cairn_str("User")) && cairn_bytes_equal(id, cairn_str("a/b")));
    assert_false(cairn_object_name("User", &type, &id));
    assert_false(cairn_object_name("User/", &type, &id));
    assert_false(cairn_object_name("/a", &type, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),  cmocka_unit_test(test_commands), cmocka_unit_test(test_values),
        cmocka_unit_test(test_tables), cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
