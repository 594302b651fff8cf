/* cairn build: finds clang and its linker for WebAssembly, runs them with the flags that a guest needs, and looks at
 * what comes out as a node would.
 *
 * The flags, and why: -mcpu=mvp keeps to instructions with which a node can use an instance again (no bulk memory, no
 * reference types, whatever clang's version switches on by itself); __stack_pointer is exported so that it can be put
 * back, __heap_base so that the node knows what small methods write to; the stack comes first, so that one that
 * overflows traps instead of overwriting data; the names of functions stay for the messages of traps. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/print.h"
#include "fn/check.h"

enum {
    ARGUMENTS_MAX = 4096,
    STACK_KIB_DEFAULT = 16,
    CLANG_OLDEST = 11,
    CLANG_NEWEST = 30,
    WASM_BYTES_MAX = 512 << 20,
};

extern char **environ;

struct options {
    const char *output;
    const char *include;
    const char *flags;
    uint64_t stack_kib, memory_mib;
    bool debug, verbose, json;
};

static const struct cairn_flag flags[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CAIRN_FLAG_TEXT,
     .value = "X.wasm",
     .help = "where the module goes",
     .offset = offsetof(struct options, output)},
    {.name = "flags",
     .kind = CAIRN_FLAG_TEXT,
     .value = "\"...\"",
     .help = "more flags for clang, e.g. \"-DLIMIT=10 -Os\"",
     .offset = offsetof(struct options, flags)},
    {.name = "stack",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "KIB",
     .help = "stack of the C code (16)",
     .min = 1,
     .max = 8192,
     .offset = offsetof(struct options, stack_kib)},
    {.name = "limit-memory",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MIB",
     .help = "what the node's --limit-memory is (16)",
     .min = 1,
     .max = 1024,
     .offset = offsetof(struct options, memory_mib)},
    {.name = "include",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "the folder with cairn/guest.h",
     .offset = offsetof(struct options, include)},
    {.name = "debug",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "keep debug information",
     .offset = offsetof(struct options, debug)},
    {.name = "verbose",
     .letter = 'v',
     .kind = CAIRN_FLAG_SWITCH,
     .help = "print the command that is run,\nand all fields and methods of the module",
     .offset = offsetof(struct options, verbose)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

/* --- running programs --- */

/* Runs argv[0], found in PATH; its standard output goes to `output` unless that is -1.  Returns its exit status, or -1
 * when it could not be run (errno) or was killed (errno 0). */
static int run(char **argv, int output)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status, error;

    posix_spawn_file_actions_init(&actions);
    if (output >= 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    error = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        errno = error;
        return -1;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    errno = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Is there a program of that name, or at that place? */
static bool there_is(const char *program)
{
    const char *path = getenv("PATH");
    char full[PATH_MAX];

    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (const char *at = path ? path : ""; *at; at += *at == ':') {
        size_t n = strcspn(at, ":");

        if (snprintf(full, sizeof full, "%.*s/%s", (int)n, at, program) < (int)sizeof full && access(full, X_OK) == 0)
            return true;
        at += n;
    }
    return false;
}

static const char *find_clang(char name[32])
{
    const char *named = getenv("CAIRN_CLANG");

    if (named && *named)
        return named;
    snprintf(name, 32, "clang");
    if (there_is(name))
        return name;
    for (int version = CLANG_NEWEST; version >= CLANG_OLDEST; version--) {
        snprintf(name, 32, "clang-%d", version);
        if (there_is(name))
            return name;
    }
    return NULL;
}

/* clang says which linker it would use: a path if it is there, a bare name otherwise. */
static bool has_linker(const char *clang)
{
    char program[PATH_MAX], question[] = "--print-prog-name=wasm-ld";
    char *argv[] = {program, question, NULL};
    char answer[PATH_MAX];
    ssize_t n;
    int ends[2];

    snprintf(program, sizeof program, "%s", clang);
    if (pipe(ends) != 0)
        return true; /* let clang tell */
    if (run(argv, ends[1]) != 0) {
        close(ends[0]);
        close(ends[1]);
        return true;
    }
    close(ends[1]);
    n = read(ends[0], answer, sizeof answer - 1);
    close(ends[0]);
    if (n <= 0)
        return true;
    answer[n] = 0;
    answer[strcspn(answer, "\n")] = 0;
    return there_is(answer);
}

/* --- the SDK's folder --- */

static bool has_header(const char *folder)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s/cairn/guest.h", folder) < (int)sizeof path && access(path, R_OK) == 0;
}

/* Beside an installed program (bin/cairn, include/cairn/guest.h) or one in a build folder of the source tree.  On
 * failure `folder` is where it was looked for. */
static bool find_include(const struct options *o, char folder[PATH_MAX])
{
    const char *named = o->include ? o->include : getenv("CAIRN_INCLUDE");
    char self[PATH_MAX];
    ssize_t n;

    if (named) {
        snprintf(folder, PATH_MAX, "%s", named);
        return has_header(folder);
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(self, '/');

        if (!slash)
            break;
        *slash = 0;
        if (snprintf(folder, PATH_MAX, "%s/include", self) < PATH_MAX && has_header(folder))
            return true;
    }
    n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    folder[n > 0 ? n : 0] = 0;
    return false;
}

/* --- the command --- */

struct command {
    char *argv[ARGUMENTS_MAX + 1];
    size_t count;
    struct cairn_buf texts[ARGUMENTS_MAX]; /* of the made-up ones */
    size_t texts_count;
};

static void add(struct command *c, const char *argument)
{
    if (c->count < ARGUMENTS_MAX)
        c->argv[c->count++] = (char *)argument;
}

static void add_text(struct command *c, const char *prefix, const char *text)
{
    struct cairn_buf *buf;

    if (c->texts_count == ARGUMENTS_MAX)
        return;
    buf = &c->texts[c->texts_count++];
    cairn_buf_printf(buf, "%s%s", prefix, text);
    cairn_buf_u8(buf, 0);
    add(c, (const char *)buf->data);
}

/* The words of a flag that holds several. */
static void add_words(struct command *c, const char *words)
{
    while (words && *words) {
        size_t blanks = strspn(words, " \t\n"), n = strcspn(words + blanks, " \t\n");
        char *word = n ? cairn_bytes_dup(cairn_bytes(words + blanks, n)) : NULL;

        if (word)
            add_text(c, "", word);
        free(word);
        words += blanks + n;
    }
}

static void print_command(const struct command *c)
{
    for (size_t i = 0; i < c->count; i++)
        fprintf(stderr, "%s%s", i ? " " : "", c->argv[i]);
    fputc('\n', stderr);
}

static void fill_command(struct command *c, const struct options *o, const char *clang, const char *include,
                         const char *output, char **sources, int source_count)
{
    static const char *const always[] = {
        "--target=wasm32",
        "-mcpu=mvp",
        "-mmutable-globals",
        "-msign-ext",
        "-mnontrapping-fptoint",
        "-O2",
        "-nostdlib",
        "-ffreestanding",
        "-fno-exceptions",
        "-Wall",
        "-Wextra",
        "-Werror=implicit-function-declaration",
        "-Wl,--no-entry",
        "-Wl,--stack-first",
        "-Wl,--export=__stack_pointer",
        "-Wl,--export=__heap_base",
    };
    char stack[48];
    bool only_c = true;

    add(c, clang);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add(c, always[i]);
    for (int i = 0; i < source_count; i++) {
        size_t n = strlen(sources[i]);

        only_c &= n > 2 && strcmp(sources[i] + n - 2, ".c") == 0;
    }
    if (only_c) /* clang refuses it beside sources in C++ */
        add(c, "-std=c17");
    add(c, o->debug ? "-g" : "-Wl,--strip-debug");
    snprintf(stack, sizeof stack, "%llu", (unsigned long long)(o->stack_kib ? o->stack_kib : STACK_KIB_DEFAULT) * 1024);
    add_text(c, "-Wl,-z,stack-size=", stack);
    add(c, "-isystem");
    add(c, include);
    add_words(c, o->flags);
    add(c, "-o");
    add(c, output);
    for (int i = 0; i < source_count; i++)
        add(c, sources[i]);
    c->argv[c->count] = NULL;
}

/* --- what came out --- */

static bool read_file(const char *path, struct cairn_buf *to)
{
    FILE *file = fopen(path, "rb");
    size_t n = 1;

    if (!file)
        return false;
    while (n > 0 && to->size <= WASM_BYTES_MAX) {
        n = fread(cairn_buf_reserve(to, 65536), 1, 65536, file);
        to->size += n;
    }
    n = (size_t)ferror(file);
    fclose(file);
    return n == 0;
}

static void add_limits(struct cairn_buf *to, const struct cairn_type_decl *type, const struct cairn_method_decl *method)
{
    for (enum cairn_method_limit i = CAIRN_LIMIT_CPU; i < CAIRN_METHOD_LIMITS; i++) {
        uint64_t limit = method->limits[i] ? method->limits[i] : type->limits[i];
        char text[CAIRN_LIMIT_TEXT_BYTES];

        if (limit)
            cairn_buf_printf(to, ", %s %s", cairn_method_limit_name(i), cairn_method_limit_text(i, limit, text));
    }
}

/* All fields and methods, one per line. */
static void print_members(const struct cairn_types *types)
{
    struct cairn_table table = {.columns = 2};
    struct cairn_buf text = {0};

    for (size_t i = 0; i < types->type_count; i++) {
        const struct cairn_type_decl *type = &types->types[i];

        for (size_t k = 0; k < type->field_count; k++) {
            text.size = 0;
            cairn_buf_printf(&text, "  %s.%s", type->name, type->fields[k].name);
            cairn_table_cell(&table, cairn_buf_bytes(&text));
            cairn_table_cell(&table, cairn_str(cairn_field_kind_name(type->fields[k].kind)));
        }
        for (size_t k = 0; k < type->method_count; k++) {
            const struct cairn_method_decl *m = &type->methods[k];

            text.size = 0;
            cairn_buf_printf(&text, "  %s.%s()", type->name, m->name);
            cairn_table_cell(&table, cairn_buf_bytes(&text));
            text.size = 0;
            cairn_buf_printf(&text, "%s%s%s%s%s%s", m->is_public ? "public" : "internal",
                             m->read_only ? ", read-only" : "", m->deterministic ? ", deterministic" : "",
                             m->transaction ? ", transaction" : "", m->uncached ? ", uncached" : "",
                             m->durable ? ", durable" : "");
            add_limits(&text, type, m);
            cairn_table_cell(&table, cairn_buf_bytes(&text));
        }
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&text);
    cairn_buf_done(&table.text);
}

/* "X.wasm: module shop, 6.5 KiB, types Cart (5 methods), Stock (1 method)" */
static void print_summary(const struct options *o, size_t bytes, const struct cairn_wasm *wasm,
                          const struct cairn_types *types)
{
    struct cairn_buf text = {0};

    cairn_inline_size(&text, bytes);
    printf("%s: module %s, %.*s, type%s", o->output, types->module, (int)text.size, (const char *)text.data,
           types->type_count == 1 ? "" : "s");
    for (size_t i = 0; i < types->type_count; i++)
        printf("%s %s (%zu method%s)", i ? "," : "", types->types[i].name, (size_t)types->types[i].method_count,
               types->types[i].method_count == 1 ? "" : "s");
    putchar('\n');
    if (o->verbose)
        print_members(types);
    if (!wasm->reusable)
        printf("note: every call gets a new instance, which is slower: %s\n", wasm->why_not);
    cairn_buf_done(&text);
}

/* In ms, bytes, and numbers; and the end of the method. */
static void print_json_limits(const struct cairn_type_decl *type, const struct cairn_method_decl *method)
{
    const char *comma = "";

    for (enum cairn_method_limit i = CAIRN_LIMIT_CPU; i < CAIRN_METHOD_LIMITS; i++) {
        uint64_t limit = method->limits[i] ? method->limits[i] : type->limits[i];

        if (limit)
            printf("%s\"%s\": %" PRIu64, comma, cairn_method_limit_name(i), limit);
        comma = limit ? ", " : comma;
    }
    printf("}}");
}

/* Names and kinds are plain ASCII; only the path needs escapes. */
static void print_json(const char *path, size_t bytes, const struct cairn_wasm *wasm, const struct cairn_types *types)
{
    printf("{\"file\": \"");
    for (const char *c = path; *c; c++)
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    printf("\", \"module\": \"%s\", \"bytes\": %zu, \"reusable\": %s, \"types\": [", types->module, bytes,
           wasm->reusable ? "true" : "false");
    for (size_t i = 0; i < types->type_count; i++) {
        const struct cairn_type_decl *type = &types->types[i];

        printf("%s{\"name\": \"%s\", \"fields\": [", i ? ", " : "", type->name);
        for (size_t k = 0; k < type->field_count; k++)
            printf("%s{\"name\": \"%s\", \"kind\": \"%s\"}", k ? ", " : "", type->fields[k].name,
                   cairn_field_kind_name(type->fields[k].kind));
        printf("], \"methods\": [");
        for (size_t k = 0; k < type->method_count; k++) {
            printf("%s{\"name\": \"%s\", \"public\": %s, \"read_only\": %s, \"deterministic\": %s, "
                   "\"transaction\": %s, \"uncached\": %s, \"durable\": %s, \"limits\": {",
                   k ? ", " : "", type->methods[k].name, type->methods[k].is_public ? "true" : "false",
                   type->methods[k].read_only ? "true" : "false", type->methods[k].deterministic ? "true" : "false",
                   type->methods[k].transaction ? "true" : "false", type->methods[k].uncached ? "true" : "false",
                   type->methods[k].durable ? "true" : "false");
            print_json_limits(type, &type->methods[k]);
        }
        printf("]}");
    }
    printf("]}\n");
}

/* Does with it what a node does at a deploy, by the same function: checks, compiles, makes a first instance. */
static enum cairn_code try_as_node(const struct options *o, struct cairn_bytes binary, struct cairn_err *err)
{
    struct cairn_fn_options options = {
        .clock = cairn_clock_system(), .workers = 1, .fibers_per_worker = 1, .memory_bytes_max = o->memory_mib << 20};
    struct cairn_module *module = NULL;
    struct cairn_fn *fn;
    enum cairn_code code = cairn_fn_create(&options, &fn, err);

    if (code != CAIRN_OK)
        return code;
    code = cairn_module_compile(fn, binary, &module, err);
    cairn_module_unref(module);
    cairn_fn_destroy(fn);
    return code;
}

/* Looks at the new file as a node would; only one that it would take becomes the output. */
static int take_output(const struct options *o, const char *fresh)
{
    struct cairn_buf binary = {0};
    struct cairn_wasm wasm;
    struct cairn_types types;
    struct cairn_err err;
    int status = CAIRN_EXIT_OK;

    if (!read_file(fresh, &binary)) {
        status = cairn_complain(CAIRN_EXIT_FAILED, "cannot read %s: %s", fresh, strerror(errno));
    } else if (try_as_node(o, cairn_buf_bytes(&binary), &err) != CAIRN_OK ||
               cairn_module_check(cairn_buf_bytes(&binary), &wasm, &types, &err) != CAIRN_OK) {
        status = cairn_complain(CAIRN_EXIT_FAILED, "it compiles, but a node would refuse it: %s", err.text);
        if (strstr(err.text, "cairn.types"))
            fputs(
                "cairn.types is what CAIRN_MODULE, CAIRN_TYPE, CAIRN_VALUE, CAIRN_LIST, CAIRN_MAP, CAIRN_ORDERED and\n"
                "CAIRN_METHOD declare, a line each: one is missing, or has a name of other characters than letters,\n"
                "digits and _\n",
                stderr);
    } else {
        if (rename(fresh, o->output) != 0)
            status = cairn_complain(CAIRN_EXIT_FAILED, "cannot write %s: %s", o->output, strerror(errno));
        else if (o->json)
            print_json(o->output, binary.size, &wasm, &types);
        else
            print_summary(o, binary.size, &wasm, &types);
        cairn_types_done(&types);
        cairn_wasm_done(&wasm);
    }
    cairn_buf_done(&binary);
    return status;
}

static int compile(const struct options *o, char **sources, int source_count)
{
    struct command *command;
    char clang_name[32], include[PATH_MAX], fresh[PATH_MAX];
    const char *clang = find_clang(clang_name);
    int status;

    if (!clang || !there_is(clang))
        return cairn_complain(
            CAIRN_EXIT_FAILED,
            "%s%s is not there: install clang and lld (Debian: apt install clang lld), or name a clang "
            "of your own with CAIRN_CLANG",
            clang ? "" : "clang", clang ? clang : "");
    if (!has_linker(clang))
        return cairn_complain(CAIRN_EXIT_FAILED, "%s finds no wasm-ld: install lld (Debian: apt install lld)", clang);
    if (!find_include(o, include))
        return cairn_complain(
            CAIRN_EXIT_FAILED,
            "cairn/guest.h was not found %s'%s': name the folder that has it (include/ of cairn's "
            "sources) with --include or CAIRN_INCLUDE",
            o->include || getenv("CAIRN_INCLUDE") ? "in " : "in the folders include/ beside and above ", include);
    if (snprintf(fresh, sizeof fresh, "%s.tmp", o->output) >= (int)sizeof fresh)
        return cairn_complain(CAIRN_EXIT_USAGE, "the output's name is too long");

    command = cairn_alloc_zeroed(1, sizeof *command);
    fill_command(command, o, clang, include, fresh, sources, source_count);
    if (o->verbose)
        print_command(command);
    status = run(command->argv, -1);
    for (size_t i = 0; i < command->texts_count; i++)
        cairn_buf_done(&command->texts[i]);
    free(command);
    if (status < 0)
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s could not be run: %s", clang,
                                errno ? strerror(errno) : "it was killed");
    else if (status > 0)
        status = CAIRN_EXIT_FAILED; /* clang has told why */
    else
        status = take_output(o, fresh);
    if (status != CAIRN_EXIT_OK)
        unlink(fresh);
    return status;
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int run_build(int argc, char **argv)
{
    struct options o = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_build, argc, argv, &o, &left, &status))
        return status;
    if (!o.output)
        return cairn_complain(CAIRN_EXIT_USAGE, "say where the module goes: cairn build %s -o X.wasm", argv[0]);
    if (!cairn_output_is_file(o.output, &status))
        return status;
    for (int i = 0; i < left; i++) {
        if (access(argv[i], R_OK) != 0)
            return cairn_complain(CAIRN_EXIT_FAILED, "cannot read %s: %s", argv[i], strerror(errno));
        if (same_file(argv[i], o.output))
            return cairn_complain(CAIRN_EXIT_USAGE, "-o %s would overwrite a source: say where the module goes, X.wasm",
                                  o.output);
    }
    return compile(&o, argv, left);
}

const struct cairn_command cairn_command_build = {
    .name = "build",
    .arguments = "SRC... -o X.wasm",
    .summary = "Compiles functions in C to a module",
    .more = "Needs clang and lld (Debian: apt install clang lld).  CAIRN_CLANG names another clang.",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = -1,
    .files = true,
    .run = run_build,
};
