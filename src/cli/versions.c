/* cairn snapshot, versions, restore: states of the node to go back to. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/moment.h"
#include "cli/print.h"
#include "server/house.h"

struct options {
    const char *data, *blob, *at;
    bool json, preview;
};

static const struct cairn_flag json_flags[] = {CAIRN_FLAG_JSON(struct options), {0}};

/* --- snapshot --- */

static int run_snapshot(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "POST"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_snapshot, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_buf_str(&ask.target, "/v1/versions");
    if (cairn_ask(&ask, &answer, &status)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        printf("version %" PRId64 " taken\n", cairn_value_read(&r).integer);
    }
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_snapshot = {
    .name = "snapshot",
    .arguments = "",
    .summary = "Takes a version of the node, to go back to",
    .more = "All objects as they are at one moment, while calls go on.  It costs what has changed since the\n"
            "last one.  The node's engine must be one that keeps versions: see 'cairn serve --engine'.",
    .flags = json_flags,
    .run = run_snapshot,
};

/* --- versions --- */

static void add_number(struct cairn_table *table, int64_t n)
{
    char text[32] = "";

    if (n)
        snprintf(text, sizeof text, "%" PRId64, n);
    cairn_table_cell(table, cairn_str(text));
}

/* [number, parent, ms, scheduled, damaged, in the blob store] each */
static void print_versions(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {.columns = 5};
    static const char *const heading[] = {"VERSION", "CAME FROM", "TAKEN", "IN THE BLOB STORE", ""};

    for (size_t i = 0; i < 5; i++)
        cairn_table_cell(&table, cairn_str(heading[i]));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_buf text = {0};
        int64_t number, parent, ms, scheduled, damaged, archived;

        cairn_value_read(&r);
        number = cairn_value_read(&r).integer;
        parent = cairn_value_read(&r).integer;
        ms = cairn_value_read(&r).integer;
        scheduled = cairn_value_read(&r).integer;
        damaged = cairn_value_read(&r).integer;
        archived = cairn_value_read(&r).integer;
        add_number(&table, number);
        add_number(&table, parent);
        if (!damaged)
            cairn_inline_time(&text, ms);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        cairn_table_cell(&table, cairn_str(archived ? "yes" : ""));
        cairn_table_cell(&table, cairn_str(damaged ? "damaged" : scheduled ? "by schedule" : ""));
        cairn_buf_done(&text);
    }
    if (count)
        cairn_table_print(&table, stdout);
    else
        puts("there are no versions; 'cairn snapshot' takes one");
    cairn_buf_done(&table.text);
}

static int run_versions_ls(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_versions_ls, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_buf_str(&ask.target, "/v1/versions");
    if (cairn_ask(&ask, &answer, &status))
        print_versions(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_versions_ls = {
    .name = "versions ls",
    .arguments = "",
    .summary = "Lists the versions that there are",
    .flags = json_flags,
    .run = run_versions_ls,
};

static int run_versions_rm(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "DELETE"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_versions_rm, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_buf_str(&ask.target, "/v1/versions");
    cairn_ask_path(&ask, cairn_str(argv[0]));
    if (cairn_ask(&ask, &answer, &status))
        printf("version %s removed\n", argv[0]);
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_versions_rm = {
    .name = "versions rm",
    .arguments = "VERSION",
    .summary = "Removes a version; what it alone needs goes in the background",
    .flags = json_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_versions_rm,
};

static const struct cairn_command *const versions_subcommands[] = {
    &cairn_command_versions_ls,
    &cairn_command_versions_rm,
    NULL,
};

const struct cairn_command cairn_command_versions = {
    .name = "versions",
    .arguments = "[ls]|rm ...",
    .summary = "Lists and removes versions of the node",
    .subcommands = versions_subcommands,
};

/* --- restore --- */

static const struct cairn_flag restore_flags[] = {
    {.name = "data",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "the data folder, which no node may be on (./data)",
     .offset = offsetof(struct options, data)},
    {.name = "at",
     .kind = CAIRN_FLAG_TEXT,
     .value = "TIME",
     .help = "to a moment instead: 2026-07-01T12:00:00Z (or +02:00, and with a\n"
             "fraction), '2026-07-01 12:00:00' of this machine's time, or\n"
             "milliseconds since 1970; a whole second is its beginning",
     .offset = offsetof(struct options, at)},
    {.name = "blob",
     .kind = CAIRN_FLAG_TEXT,
     .value = "URL",
     .help = "the node's blob store: needed for --at, and if the node has one",
     .offset = offsetof(struct options, blob)},
    {.name = "preview",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "only tell which objects would change",
     .offset = offsetof(struct options, preview)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

static void on_stage(void *context, const char *stage, uint64_t done, uint64_t total)
{
    const struct options *options = context;

    if (!options->json && isatty(STDOUT_FILENO) && strstr(stage, "shards"))
        printf("\r%s: %" PRIu64 " of %" PRIu64 "%s", stage, done, total, done == total ? "\n" : "");
    fflush(stdout);
}

struct previewing {
    uint64_t counts[3];
    struct cairn_buf text; /* of the first few */
};

enum { PREVIEW_SHOWN = 20 };

static void preview_one(void *context, enum cairn_preview what, const char *type, struct cairn_bytes id)
{
    static const char marks[] = {'~', '-', '+'};
    struct previewing *previewing = context;

    if (previewing->counts[0] + previewing->counts[1] + previewing->counts[2] < PREVIEW_SHOWN) {
        cairn_buf_printf(&previewing->text, "%c %s/", marks[what], type);
        cairn_inline_text(&previewing->text, id);
        cairn_buf_u8(&previewing->text, '\n');
    }
    previewing->counts[what]++;
}

static int preview(const struct options *options, uint64_t number, uint64_t ms)
{
    struct previewing previewing = {0};
    const uint64_t *counts = previewing.counts;
    uint64_t all;
    struct cairn_err err;

    if (cairn_house_preview(options->data, options->blob, number, ms, preview_one, &previewing, &err) != CAIRN_OK) {
        cairn_buf_done(&previewing.text);
        return cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
    }
    all = counts[0] + counts[1] + counts[2];
    if (options->json) {
        printf("{\"change\":%" PRIu64 ",\"go\":%" PRIu64 ",\"come\":%" PRIu64 "}\n", counts[0], counts[1], counts[2]);
    } else {
        printf("%" PRIu64 " objects would change (~), %" PRIu64 " would go (-), %" PRIu64 " would be there again (+)\n",
               counts[0], counts[1], counts[2]);
        fwrite(previewing.text.data, 1, previewing.text.size, stdout);
        if (all > PREVIEW_SHOWN)
            printf("... and %" PRIu64 " more\n", all - PREVIEW_SHOWN);
    }
    cairn_buf_done(&previewing.text);
    return CAIRN_EXIT_OK;
}

static int run_restore(int argc, char **argv)
{
    struct options options = {.data = "data"};
    struct cairn_err err;
    char complaint[CAIRN_MOMENT_COMPLAINT_BYTES], moment[CAIRN_MOMENT_TEXT_BYTES];
    uint64_t number = 0, ms = 0, undo;
    int status, left;

    if (!cairn_flags_parse(&cairn_command_restore, argc, argv, &options, &left, &status))
        return status;
    if ((left == 1) == (options.at != NULL))
        return cairn_complain(CAIRN_EXIT_USAGE, "give a version, or a moment with --at; see 'cairn restore --help'");
    if (options.at && !cairn_moment_parse(options.at, &ms, complaint))
        return cairn_complain(CAIRN_EXIT_USAGE, "%s", complaint);
    if (options.at && !options.json)
        cairn_complain(0, "--at %s is %s", options.at, cairn_moment_text(ms, moment));
    if (left == 1) {
        char *end;

        number = strtoull(argv[0], &end, 10);
        if (*end || !number || argv[0][0] < '0' || argv[0][0] > '9')
            return cairn_complain(CAIRN_EXIT_USAGE, "'%s' is no version; 'cairn versions' lists them", argv[0]);
    }
    if (options.preview)
        return preview(&options, number, ms);
    if (cairn_house_restore(options.data, options.blob, number, ms, on_stage, &options, &undo, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
    if (options.json)
        printf("{\"before\":%" PRIu64 "}\n", undo);
    else
        printf("done; what was there before is version %" PRIu64 ": 'cairn restore %" PRIu64 "' undoes this\n", undo,
               undo);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_restore = {
    .name = "restore",
    .arguments = "VERSION | --at TIME",
    .summary = "Takes a node that is stopped back, or forth, to a version or a moment",
    .more = "All files that are needed are checked first.  What was there before is taken as a version, too, so\n"
            "that nothing is lost by going back.  Modules are as they were then.",
    .flags = restore_flags,
    .arguments_max = 1,
    .run = run_restore,
};
