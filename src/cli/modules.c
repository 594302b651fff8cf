/* cairn deploy, modules, types: what a node can run. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "fn/limits.h"

enum { MODULE_BYTES_MAX = 512 << 20 };

struct options {
    const char *name, *drop;
    bool json;
};

#define DROP_FLAG                                                                                       \
    {                                                                                                   \
        .name = "drop", .kind = CAIRN_FLAG_TEXT, .value = "TYPE,...",                                   \
        .help = "types that go although objects of them exist; these can then\nonly be listed, shown, " \
                "removed and restored",                                                                 \
        .offset = offsetof(struct options, drop)                                                        \
    }

/* --- deploy --- */

static const struct cairn_flag deploy_flags[] = {
    {.name = "name",
     .kind = CAIRN_FLAG_TEXT,
     .value = "NAME",
     .help = "refuse the file unless its module is called this",
     .offset = offsetof(struct options, name)},
    DROP_FLAG,
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

static bool read_file(const char *path, struct cairn_buf *to)
{
    FILE *file = fopen(path, "rbe");
    size_t n;
    bool good;

    if (!file) {
        cairn_complain(0, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    while ((n = fread(cairn_buf_reserve(to, 1 << 20), 1, 1 << 20, file)) > 0 && to->size < MODULE_BYTES_MAX)
        to->size += n;
    good = !ferror(file);
    if (!good)
        cairn_complain(0, "cannot read %s: %s", path, strerror(errno));
    fclose(file);
    return good;
}

/* By its name, as nothing else tells a source from a broken module. */
static bool is_source(const char *path)
{
    static const char *const ends[] = {".c", ".cc", ".cpp", ".cxx", ".h"};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return false;
}

/* [name, version, hash, created, previous] */
static void print_deployed(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_bytes name, hash;
    int64_t version, created, previous;

    cairn_value_read(&r);
    name = cairn_value_read(&r).bytes;
    version = cairn_value_read(&r).integer;
    hash = cairn_value_read(&r).bytes;
    created = cairn_value_read(&r).integer;
    previous = cairn_value_read(&r).integer;
    if (created || version == previous)
        printf("%.*s version %" PRId64 " %s", (int)name.size, (const char *)name.data, version,
               created ? "deployed" : "is deployed already");
    else
        printf("%.*s: version %" PRId64 " -> %" PRId64, (int)name.size, (const char *)name.data, previous, version);
    printf(" (%.*s)\n", hash.size < 12 ? (int)hash.size : 12, (const char *)hash.data);
}

static int run_deploy(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "POST", .body_type = "application/wasm"};
    struct cairn_buf file = {0};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_deploy, argc, argv, &options, &left, &status))
        return status;
    if (!read_file(argv[0], &file)) {
        cairn_buf_done(&file);
        return CAIRN_EXIT_FAILED;
    }
    if (is_source(argv[0])) {
        cairn_buf_done(&file);
        return cairn_complain(CAIRN_EXIT_FAILED,
                              "%s is a source, and nodes take modules: cairn build %s -o X.wasm && cairn deploy X.wasm",
                              argv[0], argv[0]);
    }
    cairn_ask_page(&ask, "modules");
    if (options.name) {
        ask.method = "PUT";
        cairn_ask_path(&ask, cairn_str(options.name));
    }
    if (options.drop)
        cairn_ask_query(&ask, "drop", cairn_str(options.drop));
    ask.body = cairn_buf_bytes(&file);
    ask.json = options.json;
    if (cairn_ask(&ask, &answer, &status))
        print_deployed(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    cairn_buf_done(&file);
    return status;
}

const struct cairn_command cairn_command_deploy = {
    .name = "deploy",
    .arguments = "FILE.wasm",
    .summary = "Gives a module to the node, or a new version of it",
    .more = "Calls under way finish on the version that they began with.  Earlier versions are kept: to go\n"
            "back, 'cairn modules rollback'.  A version without a type of which objects exist is refused.",
    .flags = deploy_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .files = true,
    .run = run_deploy,
};

/* --- modules --- */

static const struct cairn_flag modules_flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

static void add_number(struct cairn_table *table, int64_t n)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, n);
    cairn_table_cell(table, cairn_str(text));
}

/* [version, hash, deployed ms] behind a name */
static void add_version(struct cairn_table *table, struct cairn_reader *r, struct cairn_bytes name)
{
    struct cairn_buf text = {0};
    struct cairn_bytes hash;

    cairn_table_cell(table, name);
    add_number(table, cairn_value_read(r).integer);
    hash = cairn_value_read(r).bytes;
    cairn_table_cell(table, cairn_bytes(hash.data, hash.size < 12 ? hash.size : 12));
    cairn_inline_time(&text, cairn_value_read(r).integer);
    cairn_table_cell(table, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
}

/* [name, version, hash, deployed ms, bytes, earlier] each */
static void print_modules(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {.columns = 5};
    static const char *const heading[] = {"MODULE", "VERSION", "HASH", "DEPLOYED", "SIZE"};

    for (size_t i = 0; i < 5; i++)
        cairn_table_cell(&table, cairn_str(heading[i]));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_buf text = {0};
        struct cairn_bytes name;
        uint64_t earlier;

        cairn_value_read(&r);
        name = cairn_value_read(&r).bytes;
        add_version(&table, &r, name);
        cairn_inline_size(&text, (uint64_t)cairn_value_read(&r).integer);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        cairn_buf_done(&text);
        earlier = cairn_value_read(&r).count;
        for (uint64_t j = 0; j < earlier && !r.bad; j++) {
            cairn_value_read(&r);
            add_version(&table, &r, cairn_str("  earlier"));
            cairn_table_cell(&table, cairn_str(""));
        }
    }
    if (count)
        cairn_table_print(&table, stdout);
    else
        puts("no modules are deployed; see 'cairn deploy --help'");
    cairn_buf_done(&table.text);
}

static int ask_and_print(const char *target, bool json, void (*print)(struct cairn_bytes encoded))
{
    struct cairn_ask ask = {.method = "GET", .json = json, .lists = true};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;

    cairn_ask_page(&ask, target);
    if (cairn_ask(&ask, &answer, &status))
        print(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

static int run_modules_ls(int argc, char **argv)
{
    struct options options = {0};
    int status, left;

    if (!cairn_flags_parse(&cairn_command_modules_ls, argc, argv, &options, &left, &status))
        return status;
    return ask_and_print("modules", options.json, print_modules);
}

const struct cairn_command cairn_command_modules_ls = {
    .name = "modules ls",
    .arguments = "",
    .summary = "Lists the modules that are deployed, and their earlier versions",
    .flags = modules_flags,
    .run = run_modules_ls,
};

static int run_modules_rm(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "DELETE"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_modules_rm, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "modules");
    cairn_ask_path(&ask, cairn_str(argv[0]));
    if (cairn_ask(&ask, &answer, &status))
        printf("%s removed\n", argv[0]);
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_modules_rm = {
    .name = "modules rm",
    .arguments = "NAME",
    .summary = "Removes a module; refused while there are objects of its types",
    .flags = modules_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_modules_rm,
};

static const struct cairn_flag rollback_flags[] = {
    DROP_FLAG, CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

static int run_modules_rollback(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "POST"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_modules_rollback, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "modules");
    cairn_ask_path(&ask, cairn_str(argv[0]));
    cairn_ask_path(&ask, cairn_str("rollback"));
    if (left > 1)
        cairn_ask_query(&ask, "version", cairn_str(argv[1]));
    if (options.drop)
        cairn_ask_query(&ask, "drop", cairn_str(options.drop));
    if (cairn_ask(&ask, &answer, &status))
        print_deployed(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_modules_rollback = {
    .name = "modules rollback",
    .arguments = "NAME [VERSION]",
    .summary = "Makes an earlier version of a module the current one",
    .more = "Without VERSION the one before the current.  The state of objects stays as it is.",
    .flags = rollback_flags,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_modules_rollback,
};

static const struct cairn_command *const modules_subcommands[] = {
    &cairn_command_modules_ls,
    &cairn_command_modules_rollback,
    &cairn_command_modules_rm,
    NULL,
};

const struct cairn_command cairn_command_modules = {
    .name = "modules",
    .arguments = "[ls]|rollback|rm ...",
    .summary = "Lists modules, goes back to earlier versions of them, and removes them",
    .subcommands = modules_subcommands,
};

/* --- types --- */

static const struct cairn_flag types_flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

/* [name, in force, set by, declared] each: "limit-cpu 10 ms (namespace; 20 ms declared)" */
static void add_limits(struct cairn_buf *to, struct cairn_reader *r)
{
    for (uint64_t count = cairn_value_read(r).count; count > 0 && !r->bad; count--) {
        char text[CAIRN_LIMIT_TEXT_BYTES];
        struct cairn_bytes name, by;
        uint64_t in_force, declared;
        enum cairn_method_limit limit = CAIRN_LIMIT_CPU;

        cairn_value_read(r);
        name = cairn_value_read(r).bytes;
        in_force = (uint64_t)cairn_value_read(r).integer;
        by = cairn_value_read(r).bytes;
        declared = (uint64_t)cairn_value_read(r).integer;
        while (limit < CAIRN_METHOD_LIMITS && !cairn_bytes_equal(name, cairn_str(cairn_method_limit_name(limit))))
            limit++;
        if (limit == CAIRN_METHOD_LIMITS)
            continue; /* a later node's */
        cairn_buf_str(to, to->size ? ", " : "");
        cairn_inline_text(to, name);
        cairn_buf_printf(to, " %s", cairn_method_limit_text(limit, in_force, text));
        if (declared != in_force) {
            cairn_buf_str(to, " (");
            cairn_inline_text(to, by);
            if (declared)
                cairn_buf_printf(to, "; %s declared", cairn_method_limit_text(limit, declared, text));
            cairn_buf_str(to, ")");
        }
    }
}

/* [method, access, flags, limits] each, in columns */
static void print_methods(struct cairn_reader *r)
{
    uint64_t count = cairn_value_read(r).count;
    struct cairn_table table = {.columns = 4};

    for (uint64_t i = 0; i < count && !r->bad; i++) {
        struct cairn_buf text = {0};
        uint64_t flag_count;

        cairn_value_read(r);
        cairn_buf_str(&text, "    ");
        cairn_inline_text(&text, cairn_value_read(r).bytes);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        text.size = 0;
        cairn_table_cell(&table, cairn_value_read(r).bytes);
        flag_count = cairn_value_read(r).count;
        for (uint64_t j = 0; j < flag_count && !r->bad; j++) {
            if (j)
                cairn_buf_str(&text, ", ");
            cairn_inline_text(&text, cairn_value_read(r).bytes);
        }
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        text.size = 0;
        add_limits(&text, r);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        cairn_buf_done(&text);
    }
    cairn_table_print(&table, stdout);
}

/* [field, kind] each */
static void print_fields(struct cairn_reader *r)
{
    uint64_t count = cairn_value_read(r).count;
    struct cairn_table table = {.columns = 2};

    for (uint64_t i = 0; i < count && !r->bad; i++) {
        struct cairn_buf text = {0};

        cairn_value_read(r);
        cairn_buf_str(&text, "    ");
        cairn_inline_text(&text, cairn_value_read(r).bytes);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        cairn_table_cell(&table, cairn_value_read(r).bytes);
        cairn_buf_done(&text);
    }
    cairn_table_print(&table, stdout);
}

/* [type, module, version, fields, methods, dropped] each */
static void print_types(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;

    if (!count)
        puts("there are no types: no modules are deployed; see 'cairn deploy --help'");
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_bytes name, module;

        cairn_value_read(&r);
        name = cairn_value_read(&r).bytes;
        module = cairn_value_read(&r).bytes;
        printf("%s%.*s (module %.*s, version %" PRId64 ")\n", i ? "\n" : "", (int)name.size, (const char *)name.data,
               (int)module.size, (const char *)module.data, cairn_value_read(&r).integer);
        puts("  fields");
        print_fields(&r);
        puts("  methods");
        print_methods(&r);
        if (cairn_value_read(&r).integer)
            puts("  dropped: no longer in the module; objects of it can be listed, shown, removed and restored");
    }
}

static int run_types(int argc, char **argv)
{
    struct options options = {0};
    int status, left;

    if (!cairn_flags_parse(&cairn_command_types, argc, argv, &options, &left, &status))
        return status;
    return ask_and_print("types", options.json, print_types);
}

const struct cairn_command cairn_command_types = {
    .name = "types",
    .arguments = "",
    .summary = "Lists types, their fields and methods",
    .flags = types_flags,
    .run = run_types,
};
