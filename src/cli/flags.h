/* flags.h - what a command of `cairn` takes: one table per command gives parsing, --help and
 * shell completion; tests/cli compares it with docs/reference.
 * Layer: cli. */
#ifndef CAIRN_CLI_FLAGS_H
#define CAIRN_CLI_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How a command ends. */
enum cairn_exit {
    CAIRN_EXIT_OK = 0,
    CAIRN_EXIT_FAILED = 1, /* the call failed, or its value is an error */
    CAIRN_EXIT_USAGE = 2,
    CAIRN_EXIT_UNREACHABLE = 3, /* no node answers at CAIRN_URL */
};

enum cairn_flag_kind {
    CAIRN_FLAG_SWITCH, /* bool */
    CAIRN_FLAG_TEXT,   /* const char * */
    CAIRN_FLAG_NUMBER, /* uint64_t, within min and max */
    CAIRN_FLAG_SIZE,   /* uint64_t, bytes as base/size.h reads them, within min and max */
    CAIRN_FLAG_SPACE,  /* none: --namespace sets CAIRN_NAMESPACE, which client.h reads */
};

struct cairn_flag {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum cairn_flag_kind kind;
    const char *value; /* what --help calls it; NULL for switches */
    const char *help;
    uint64_t min, max;
    size_t offset; /* of the member in the command's options */
};

/* What most commands have; `options` is the struct that it sets `json` in. */
#define CAIRN_FLAG_JSON(options)                                                                           \
    {                                                                                                      \
        .name = "json", .kind = CAIRN_FLAG_SWITCH, .help = "print JSON", .offset = offsetof(options, json) \
    }

/* Of listings; `options` is the struct that it sets `limit` in, 0 without it. */
#define CAIRN_FLAG_LIMIT(options, text)                                                                    \
    {                                                                                                      \
        .name = "limit", .letter = 'n', .kind = CAIRN_FLAG_NUMBER, .value = "N", .help = (text), .min = 1, \
        .max = 100000, .offset = offsetof(options, limit)                                                  \
    }

/* Of commands whose requests are in a namespace. */
#define CAIRN_FLAG_NAMESPACE                                                                                          \
    {                                                                                                                 \
        .name = "namespace", .kind = CAIRN_FLAG_SPACE, .value = "NAME", .help = "in this namespace (CAIRN_NAMESPACE)" \
    }

struct cairn_command {
    const char *name;      /* "objects ls": with its group's */
    const char *arguments; /* "TYPE/ID METHOD [ARG...]" */
    const char *summary;
    const char *more;                               /* paragraphs below the flags; NULL: none */
    const struct cairn_flag *flags;                 /* ends with a NULL name */
    const struct cairn_command *const *subcommands; /* NULL-terminated; instead of run */
    int arguments_min, arguments_max;               /* max -1: any number */
    bool files;                                     /* the arguments are names of files */
    /* Takes the arguments that are left; returns the exit status. */
    int (*run)(int argc, char **argv);
};

/* NULL-terminated. */
extern const struct cairn_command *const cairn_commands[];

/* Parses flags anywhere before "--"; the arguments that are left are moved to the front of argv,
 * *ret_argc of them.  Returns true to go on; false: *ret_exit is the exit status (help was shown, or
 * an error told). */
bool cairn_flags_parse(const struct cairn_command *command, int argc, char **argv, void *options, int *ret_argc,
                       int *ret_exit);
void cairn_flags_help(const struct cairn_command *command, FILE *to);
/* "ls" of "objects ls" */
const char *cairn_command_word(const struct cairn_command *command);

/* Whether a finished file may take that name: nothing is there, or a file.  A device or a pipe would be replaced by it,
 * so that is complained about, and a folder too; *ret_exit is the exit status then. */
bool cairn_output_is_file(const char *path, int *ret_exit);
/* "cairn: ..." on stderr; returns `status`. */
int cairn_complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
