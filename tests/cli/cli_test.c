/* Would catch: flags read wrongly, wrong usage that is not told or has another exit status, values and fields shown
 * wrongly or with what a terminal would obey, commands whose tables are broken or that the reference does not know,
 * suggestions that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/suggest.h"
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

/* The name that is suggested, NULL: none. */
static const struct {
    const char *typed, *want;
} guesses[] = {
    {"deplyo", "deploy"},
    {"deploy", "deploy"},
    {"bild", "build"},
    {"buildd", "build"},
    {"module", "modules"},
    {"mod", "modules"},
    {"completions", "completion"},
    {"srve", "serve"},
    {"hepl", "help"},
    {"sho", "objects show"},
    {"xyz", NULL},
    {"s", NULL},
    {"", NULL},
    {"start", "keeper stat"},
    {"launch", NULL},
    {"deployment", NULL},
    {"an-endless-word-that-is-longer-than-all-names", NULL},
};

static void test_guesses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
        struct cairn_suggest suggest = {.typed = cairn_str(guesses[i].typed)};
        char *name;

        for (size_t j = 0; cairn_commands[j]; j++) {
            const struct cairn_command *const *sub = cairn_commands[j]->subcommands;

            cairn_suggest_offer(&suggest, cairn_str(cairn_commands[j]->name), cairn_str(cairn_commands[j]->name));
            for (size_t k = 0; sub && sub[k]; k++)
                cairn_suggest_offer(&suggest, cairn_str(cairn_command_word(sub[k])), cairn_str(sub[k]->name));
        }
        name = suggest.name.data ? cairn_bytes_dup(suggest.name) : NULL;
        if (!same(name, guesses[i].want))
            fail_msg("'%s': '%s'", guesses[i].typed, name ? name : "nothing");
        free(name);
    }
}

/* --- what the reference says --- */

static char *read_page(const char *name)
{
    const char *folder = getenv("CAIRN_SOURCE");
    char path[4096], *text = test_calloc(1, 1 << 16);
    FILE *file;

    snprintf(path, sizeof path, "%s/docs/reference/%s", folder ? folder : ".", name);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}

/* The part of the page that is about a command: from its heading to the next. */
static char *section_of(const char *page, const struct cairn_command *one)
{
    char name[64];
    size_t n = strlen(one->name);

    snprintf(name, sizeof name, "cairn %s", one->name);
    for (const char *at = strstr(page, "\n## "); at; at = strstr(at + 1, "\n## ")) {
        size_t line = strcspn(at + 1, "\n");
        const char *found = strstr(at, name), *end = strstr(at + 1, "\n## ");
        size_t size = end ? (size_t)(end - at) : strlen(at);
        char *section;

        if (!found || found > at + line || (found[6 + n] && strchr("abcdefghijklmnopqrstuvwxyz", found[6 + n])))
            continue;
        section = test_calloc(1, size + 1);
        memcpy(section, at, size);
        return section;
    }
    fail_msg("the reference has no section about '%s'", name);
    return NULL;
}

static void check_documented(const struct cairn_command *one, const char *cli, const char *configuration)
{
    bool serve = strcmp(one->name, "serve") == 0;
    char *section;

    if (one->subcommands) {
        for (size_t i = 0; one->subcommands[i]; i++)
            check_documented(one->subcommands[i], cli, configuration);
        return;
    }
    section = section_of(cli, one);

    for (const struct cairn_flag *flag = one->flags; flag && flag->name; flag++) {
        char text[128];

        if (strcmp(flag->name, "json") == 0 || strcmp(flag->name, "namespace") == 0)
            continue; /* told once, for all */
        snprintf(text, sizeof text, "`--%s%s%s`", flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
        if (!strstr(serve ? configuration : section, text))
            fail_msg("the reference does not tell of %s of 'cairn %s'", text, one->name);
    }
    test_free(section);
}

static void test_reference(void **state)
{
    char *cli = read_page("cli.md"), *configuration = read_page("configuration.md");

    (void)state;
    for (size_t i = 0; cairn_commands[i]; i++)
        check_documented(cairn_commands[i], cli, configuration);
    test_free(cli);
    test_free(configuration);
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
        cmocka_unit_test(test_flags),     cmocka_unit_test(test_commands), cmocka_unit_test(test_values),
        cmocka_unit_test(test_tables),    cmocka_unit_test(test_names),    cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
