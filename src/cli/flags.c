#include "cli/flags.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "base/suggest.h"

enum { HELP_COLUMN = 30 };

int cairn_complain(int status, const char *format, ...)
{
    va_list args;

    fputs("cairn: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

bool cairn_output_is_file(const char *path, int *ret_exit)
{
    struct stat there;

    if (stat(path, &there) != 0 || S_ISREG(there.st_mode))
        return true;
    *ret_exit = cairn_complain(CAIRN_EXIT_USAGE, "'%s' is %s: name a file", path,
                               S_ISDIR(there.st_mode) ? "a folder" : "a device or a pipe");
    return false;
}

const char *cairn_command_word(const struct cairn_command *command)
{
    const char *blank = strrchr(command->name, ' ');

    return blank ? blank + 1 : command->name;
}

/* Lines of `text`, each behind `indent` blanks but the first. */
static void print_indented(FILE *to, const char *text, int indent)
{
    for (const char *line = text;;) {
        const char *end = strchr(line, '\n');

        if (!end) {
            fprintf(to, "%s\n", line);
            return;
        }
        fprintf(to, "%.*s\n%*s", (int)(end - line), line, indent, "");
        line = end + 1;
    }
}

void cairn_flags_help(const struct cairn_command *command, FILE *to)
{
    bool any = command->flags && command->flags->name;

    fprintf(to, "cairn %s%s%s%s\n\n%s.\n", command->name, *command->arguments ? " " : "", command->arguments,
            any ? " [flags]" : "", command->summary);
    if (any)
        fputs("\nFlags:\n", to);
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++) {
        char text[64];
        int n =
            snprintf(text, sizeof text, "  %c%c%s --%s %s", flag->letter ? '-' : ' ', flag->letter ? flag->letter : ' ',
                     flag->letter ? "," : " ", flag->name, flag->value ? flag->value : "");

        fprintf(to, "%-*s ", HELP_COLUMN, text);
        if (n >= HELP_COLUMN)
            fprintf(to, "\n%*s", HELP_COLUMN + 1, "");
        print_indented(to, flag->help, HELP_COLUMN + 1);
    }
    if (command->more)
        fprintf(to, "\n%s\n", command->more);
}

static const struct cairn_flag *find_long(const struct cairn_command *command, const char *name, size_t size)
{
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++)
        if (strlen(flag->name) == size && memcmp(flag->name, name, size) == 0)
            return flag;
    return NULL;
}

static const struct cairn_flag *find_short(const struct cairn_command *command, char letter)
{
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++)
        if (flag->letter == letter)
            return flag;
    return NULL;
}

static int complain(const struct cairn_command *command, const char *what, const char *text)
{
    cairn_complain(0, "%s '%s'", what, text);
    fprintf(stderr, "see 'cairn %s --help'\n", command->name);
    return CAIRN_EXIT_USAGE;
}

static int complain_unknown(const struct cairn_command *command, const char *word)
{
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t size = strcspn(name, "=");
    struct cairn_suggest suggest = {.typed = cairn_bytes(name, size)};

    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++)
        if (size > 1)
            cairn_suggest_offer(&suggest, cairn_str(flag->name), cairn_str(flag->name));
    if (!suggest.name.data)
        return complain(command, "there is no flag", word);
    return cairn_complain(CAIRN_EXIT_USAGE,
                          "there is no flag '%s'; did you mean '--%.*s'? ('cairn %s --help' lists all)", word,
                          (int)suggest.name.size, (const char *)suggest.name.data, command->name);
}

static bool set_size(const struct cairn_flag *flag, const char *text, void *member)
{
    char least[CAIRN_SIZE_TEXT_BYTES], most[CAIRN_SIZE_TEXT_BYTES];
    uint64_t bytes;

    if (cairn_size_parse(cairn_str(text), &bytes) && bytes >= flag->min && bytes <= flag->max) {
        *(uint64_t *)member = bytes;
        return true;
    }
    cairn_complain(0, "--%s takes a size from %s to %s, as 256MiB or 4GiB, not '%s'", flag->name,
                   cairn_size_text(flag->min, least), cairn_size_text(flag->max, most), text);
    return false;
}

static bool set_number(const struct cairn_flag *flag, const char *text, void *member)
{
    char *end;
    unsigned long long n;

    if (*text < '0' || *text > '9')
        return false;
    n = strtoull(text, &end, 10);
    if (*end || n < flag->min || (flag->max && n > flag->max))
        return false;
    *(uint64_t *)member = n;
    return true;
}

/* Sets one flag; false and a message if its value does not do. */
static bool set(const struct cairn_flag *flag, const char *value, void *options)
{
    void *member = (char *)options + flag->offset;

    switch (flag->kind) {
    case CAIRN_FLAG_SWITCH:
        *(bool *)member = true;
        return true;
    case CAIRN_FLAG_TEXT:
        *(const char **)member = value;
        return true;
    case CAIRN_FLAG_SPACE:
        return setenv("CAIRN_NAMESPACE", value, 1) == 0;
    case CAIRN_FLAG_SIZE:
        return set_size(flag, value, member);
    case CAIRN_FLAG_NUMBER:
        if (set_number(flag, value, member))
            return true;
        if (flag->max)
            cairn_complain(0, "--%s takes a number from %llu to %llu, not '%s'", flag->name,
                           (unsigned long long)flag->min, (unsigned long long)flag->max, value);
        else
            cairn_complain(0, "--%s takes a number of at least %llu, not '%s'", flag->name,
                           (unsigned long long)flag->min, value);
        return false;
    }
    return false;
}

/* One word that begins with a dash; *at moves on if the flag's value is the next word. */
static int parse_flag(const struct cairn_command *command, int argc, char **argv, int *at, void *options)
{
    const char *word = argv[*at], *equals = NULL, *value = NULL;
    const struct cairn_flag *flag;

    if (word[1] == '-') {
        equals = strchr(word, '=');
        flag = find_long(command, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
        value = equals ? equals + 1 : NULL;
    } else {
        flag = find_short(command, word[1]);
        if (flag && word[2])
            value = word + 2;
    }
    if (!flag)
        return complain_unknown(command, word);
    if (flag->kind == CAIRN_FLAG_SWITCH) {
        if (value)
            return complain(command, "this flag takes no value:", word);
    } else if (!value) {
        if (*at + 1 == argc)
            return complain(command, "a value is missing behind", word);
        value = argv[++*at];
    }
    return set(flag, value, options) ? CAIRN_EXIT_OK : CAIRN_EXIT_USAGE;
}

bool cairn_flags_parse(const struct cairn_command *command, int argc, char **argv, void *options, int *ret_argc,
                       int *ret_exit)
{
    int left = 0;
    bool flags = true;

    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];

        if (flags && strcmp(word, "--") == 0) {
            flags = false;
        } else if (flags && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            cairn_flags_help(command, stdout);
            *ret_exit = CAIRN_EXIT_OK;
            return false;
        } else if (flags && word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9')) {
            *ret_exit = parse_flag(command, argc, argv, &at, options);
            if (*ret_exit != CAIRN_EXIT_OK)
                return false;
        } else {
            argv[left++] = argv[at];
        }
    }
    if (left < command->arguments_min || (command->arguments_max >= 0 && left > command->arguments_max)) {
        if (left < command->arguments_min)
            cairn_complain(0, "arguments are missing: cairn %s %s", command->name, command->arguments);
        else if (command->arguments_max == 0)
            cairn_complain(0, "too many arguments: 'cairn %s' takes none, only flags, and here is '%s'", command->name,
                           argv[0]);
        else
            cairn_complain(0, "too many arguments, from '%s' on: cairn %s %s", argv[command->arguments_max],
                           command->name, command->arguments);
        fprintf(stderr, "see 'cairn %s --help'\n", command->name);
        *ret_exit = CAIRN_EXIT_USAGE;
        return false;
    }
    *ret_argc = left;
    return true;
}
