/* What may stand where the cursor is: names that only a node knows, for completion.
 *
 * The shells' scripts (completion.c) ask for it with the words of the line, the one that is being typed last.  Where in
 * a command which names belong is told by its `arguments`.  Whatever fails, nothing is said: the shell has its cursor
 * in the middle of a line. */
#include "cli/names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "engine/choice.h"

enum { OBJECTS_MAX = 100, SECONDS_MAX = 2 };

/* --- asking --- */

static bool ask(const char *target, struct cairn_bytes type, struct cairn_bytes prefix, bool lists,
                struct cairn_answer *ret_answer)
{
    struct cairn_ask ask = {.method = "GET", .lists = lists};
    int ignored;

    cairn_ask_page(&ask, target);
    if (type.size)
        cairn_ask_path(&ask, type);
    if (type.size) {
        cairn_ask_query(&ask, "limit", cairn_str("100"));
        cairn_ask_query(&ask, "prefix", prefix);
    }
    return cairn_ask(&ask, ret_answer, &ignored);
}

static void print_bytes(struct cairn_bytes name)
{
    struct cairn_buf text = {0};

    cairn_inline_text(&text, name);
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

/* --- what there is --- */

static void skip_value(struct cairn_reader *r)
{
    for (uint64_t left = 1; left > 0 && !r->bad; left--) {
        struct cairn_value v = cairn_value_read(r);

        if (v.kind == CAIRN_VALUE_LIST)
            left += v.count;
    }
}

/* Names that are the first of each item of a list. */
static void print_first(const char *page)
{
    struct cairn_answer answer;

    if (ask(page, cairn_str(""), cairn_str(""), true, &answer)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        for (uint64_t left = cairn_value_read(&r).count; left > 0 && !r.bad; left--) {
            uint64_t members = cairn_value_read(&r).count;

            print_bytes(cairn_value_read(&r).bytes);
            putchar('\n');
            while (members-- > 1)
                skip_value(&r);
        }
    }
    cairn_answer_done(&answer);
}

static void print_spaces(void)
{
    unsetenv("CAIRN_NAMESPACE"); /* these are the node's */
    print_first("namespaces");
}

/* The types, with `end` behind each; or the public methods of one. */
static void print_types(const char *end, struct cairn_bytes methods_of)
{
    struct cairn_answer answer;

    if (ask("types", cairn_str(""), cairn_str(""), true, &answer)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        for (uint64_t left = cairn_value_read(&r).count; left > 0 && !r.bad; left--) {
            uint64_t members = cairn_value_read(&r).count;
            struct cairn_bytes name = cairn_value_read(&r).bytes;
            bool shown = methods_of.size && cairn_bytes_equal(name, methods_of);

            if (!methods_of.size) {
                print_bytes(name);
                puts(end);
            }
            for (uint64_t i = 1; i < 4; i++) /* module, version, fields */
                skip_value(&r);
            for (uint64_t methods = cairn_value_read(&r).count; methods > 0 && !r.bad; methods--) {
                uint64_t parts = cairn_value_read(&r).count;
                struct cairn_bytes method = cairn_value_read(&r).bytes, access = cairn_value_read(&r).bytes;

                while (parts-- > 2) /* flags, limits */
                    skip_value(&r);
                if (shown && cairn_bytes_equal(access, cairn_str("public"))) {
                    print_bytes(method);
                    putchar('\n');
                }
            }
            while (members-- > 5)
                skip_value(&r);
        }
    }
    cairn_answer_done(&answer);
}

/* "TYPE/ID", of ids that begin as the one that is typed. */
static void print_objects(const char *typed)
{
    const char *slash = strchr(typed, '/');
    struct cairn_bytes type = cairn_bytes(typed, (size_t)(slash - typed));
    struct cairn_answer answer;

    if (!type.size)
        return;
    if (ask("objects", type, cairn_str(slash + 1), false, &answer)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        cairn_value_read(&r);
        for (uint64_t left = cairn_value_read(&r).count; left > 0 && !r.bad; left--) {
            print_bytes(type);
            putchar('/');
            print_bytes(cairn_value_read(&r).bytes);
            putchar('\n');
        }
    }
    cairn_answer_done(&answer);
}

static void print_engines(void)
{
    puts("memory");
    for (size_t i = 0; i < CHOICE_ENGINES; i++)
        if (strcmp(choice_name(i), "memory") != 0)
            puts(choice_name(i));
}

/* --- where the cursor is --- */

static const struct cairn_command *find(const struct cairn_command *const *commands, const char *word)
{
    for (size_t i = 0; commands && commands[i]; i++)
        if (strcmp(cairn_command_word(commands[i]), word) == 0)
            return commands[i];
    return NULL;
}

static bool takes_value(const struct cairn_command *command, const char *word)
{
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++)
        if (flag->value && ((word[0] == '-' && word[1] == '-' && strcmp(word + 2, flag->name) == 0) ||
                            (flag->letter && word[0] == '-' && word[1] == flag->letter && !word[2])))
            return true;
    return false;
}

/* What the command calls its argument `at`; the last one may come again. */
static void argument_name(const struct cairn_command *command, int at, char to[64])
{
    const char *word = command->arguments;

    for (; at > 0 && strchr(word, ' '); at--)
        word = strchr(word, ' ') + 1;
    snprintf(to, 64, "%.*s", (int)strcspn(word, " ."), at > 0 && !strstr(command->arguments, "...") ? "" : word);
}

int cairn_print_names(int argc, char **argv)
{
    const struct cairn_command *command = argc > 1 ? find(cairn_commands, argv[0]) : NULL;
    const char *typed = argc > 0 ? argv[argc - 1] : "", *object = "";
    int first = 1, arguments = 0;
    char name[64];

    if (command && command->subcommands && argc > 2) {
        command = find(command->subcommands, argv[1]);
        first = 2;
    }
    if (!command || command->subcommands)
        return CAIRN_EXIT_OK;
    if (!freopen("/dev/null", "w", stderr))
        return CAIRN_EXIT_OK;
    alarm(SECONDS_MAX); /* a node that does not answer does not hold up the shell */
    if (argc - 1 > first && takes_value(command, argv[argc - 2])) {
        if (strcmp(argv[argc - 2], "--engine") == 0)
            print_engines();
        else if (strcmp(argv[argc - 2], "--namespace") == 0)
            print_spaces();
        return CAIRN_EXIT_OK;
    }
    for (int i = first; i < argc - 1; i++) {
        if (argv[i][0] != '-') {
            object = arguments++ == 0 ? argv[i] : object;
        } else if (takes_value(command, argv[i])) {
            if (strcmp(argv[i++], "--namespace") == 0)
                setenv("CAIRN_NAMESPACE", argv[i], 1);
        }
    }
    if (typed[0] == '-')
        return CAIRN_EXIT_OK;
    argument_name(command, arguments, name);
    if (strcmp(name, "[TYPE[/ID]]") == 0)
        snprintf(name, sizeof name, strchr(typed, '/') ? "TYPE/ID" : "TYPE");
    if (strcmp(name, "TYPE/ID") == 0 && strchr(typed, '/'))
        print_objects(typed);
    else if (strcmp(name, "TYPE/ID") == 0)
        print_types("/", cairn_str(""));
    else if (strcmp(name, "TYPE") == 0)
        print_types("", cairn_str(""));
    else if (strcmp(name, "METHOD") == 0 && strchr(object, '/'))
        print_types("", cairn_bytes(object, (size_t)(strchr(object, '/') - object)));
    else if (strcmp(name, "NAME") == 0)
        print_first("modules");
    else if (strcmp(name, "NUMBER") == 0 || strcmp(name, "[NUMBER") == 0)
        print_first("messages?dead=1");
    else if (strcmp(name, "NAMESPACE") == 0)
        print_spaces();
    return CAIRN_EXIT_OK;
}
