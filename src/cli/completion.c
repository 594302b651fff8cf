/* cairn completion bash|zsh|fish: scripts made from the same tables as --help, which ask for the names that only a node
 * knows (names.c). */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/names.h"

static void print_flag_words(const struct cairn_command *command)
{
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++)
        printf("--%s ", flag->name);
    printf("--help");
}

static void print_bash_case(const struct cairn_command *command)
{
    printf("        '%s') words='", command->name);
    for (size_t i = 0; command->subcommands && command->subcommands[i]; i++)
        printf("%s ", cairn_command_word(command->subcommands[i]));
    print_flag_words(command);
    printf("'; files=%d ;;\n", command->files);
}

static void print_bash(void)
{
    puts("# bash completion of cairn: eval \"$(cairn completion bash)\"\n"
         "_cairn() {\n"
         "    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= files=0\n"
         "    COMPREPLY=()\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    printf("        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; cairn_commands[i]; i++)
        printf("%s ", cairn_commands[i]->name);
    puts("--help' -- \"$current\"))\n"
         "        return\n"
         "    fi\n"
         "    case $command in");
    for (size_t i = 0; cairn_commands[i]; i++)
        if (cairn_commands[i]->subcommands)
            printf("        %s) [ \"$COMP_CWORD\" -gt 2 ] && command=\"$command ${COMP_WORDS[2]}\" ;;\n",
                   cairn_commands[i]->name);
    puts("    esac\n"
         "    case $command in");
    for (size_t i = 0; cairn_commands[i]; i++) {
        print_bash_case(cairn_commands[i]);
        for (size_t j = 0; cairn_commands[i]->subcommands && cairn_commands[i]->subcommands[j]; j++)
            print_bash_case(cairn_commands[i]->subcommands[j]);
    }
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "    local IFS=$'\\n'\n"
         "    COMPREPLY+=($(compgen -W \"$(cairn completion names -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\""
         " -- \"$current\"))\n"
         "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace\n"
         "    if [ $files -eq 1 ] && [ \"${current#-}\" = \"$current\" ]; then\n"
         "        COMPREPLY+=($(compgen -f -- \"$current\"))\n"
         "    fi\n"
         "}\n"
         "complete -o filenames -F _cairn cairn");
}

/* In single quotes for a shell: the texts of the tables hold none but in quotes of their own. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
    putchar('\'');
}

static void print_zsh_words(const struct cairn_command *const *commands)
{
    for (size_t i = 0; commands[i]; i++) {
        char text[256];

        snprintf(text, sizeof text, "%s:%s", cairn_command_word(commands[i]), commands[i]->summary);
        fputs("        ", stdout);
        print_quoted(text);
        putchar('\n');
    }
}

static void print_zsh_flags(const struct cairn_command *command)
{
    printf("        '%s') _arguments", command->name);
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++) {
        char help[256], text[384];
        size_t n = 0;

        for (const char *at = flag->help; *at && *at != '\n' && n + 2 < sizeof help; at++) {
            if (*at == '[' || *at == ']' || *at == ':')
                help[n++] = '\\';
            help[n++] = *at;
        }
        help[n] = 0;
        if (flag->value)
            snprintf(text, sizeof text, "--%s=[%s]:%s:_files", flag->name, help, flag->value);
        else
            snprintf(text, sizeof text, "--%s[%s]", flag->name, help);
        putchar(' ');
        print_quoted(text);
    }
    printf(" '--help[tell more]' '*:argument:%s' ;;\n", command->files ? "_files" : "_cairn_names");
}

static void print_zsh(void)
{
    puts("#compdef cairn\n"
         "# zsh completion of cairn: cairn completion zsh > \"${fpath[1]}/_cairn\"\n"
         "_cairn_names() {\n"
         "    local -a names\n"
         "    names=(${(f)\"$(cairn completion names -- ${words[2,CURRENT]} 2>/dev/null)\"})\n"
         "    compadd -S '' -- $names\n"
         "}\n"
         "_cairn() {\n"
         "    local command=$words[2]\n"
         "    local -a commands\n"
         "    if (( CURRENT == 2 )); then\n"
         "        commands=(");
    print_zsh_words(cairn_commands);
    puts("        )\n"
         "        _describe command commands\n"
         "        return\n"
         "    fi");
    for (size_t i = 0; cairn_commands[i]; i++) {
        if (!cairn_commands[i]->subcommands)
            continue;
        printf("    if [[ $command == %s ]]; then\n"
               "        if (( CURRENT == 3 )); then\n"
               "            commands=(\n",
               cairn_commands[i]->name);
        print_zsh_words(cairn_commands[i]->subcommands);
        puts("            )\n"
             "            _describe command commands\n"
             "            return\n"
             "        fi\n"
             "        command=\"$command $words[3]\"\n"
             "    fi");
    }
    puts("    case $command in");
    for (size_t i = 0; cairn_commands[i]; i++) {
        if (!cairn_commands[i]->subcommands)
            print_zsh_flags(cairn_commands[i]);
        for (size_t j = 0; cairn_commands[i]->subcommands && cairn_commands[i]->subcommands[j]; j++)
            print_zsh_flags(cairn_commands[i]->subcommands[j]);
    }
    puts("    esac\n"
         "}\n"
         "_cairn \"$@\"");
}

static void print_fish_flags(const struct cairn_command *command, const char *condition)
{
    for (const struct cairn_flag *flag = command->flags; flag && flag->name; flag++) {
        printf("complete -c cairn -n '%s' -l %s ", condition, flag->name);
        if (flag->letter)
            printf("-s %c ", flag->letter);
        printf("%s-d ", flag->kind == CAIRN_FLAG_TEXT ? "-r -F " : flag->value ? "-x " : "");
        print_quoted(flag->help);
        putchar('\n');
    }
}

static void print_fish(void)
{
    puts("# fish completion of cairn: cairn completion fish > ~/.config/fish/completions/cairn.fish\n"
         "complete -c cairn -f\n"
         "complete -c cairn -f -a '(cairn completion names -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'");
    for (size_t i = 0; cairn_commands[i]; i++) {
        const struct cairn_command *command = cairn_commands[i];
        char condition[160];

        printf("complete -c cairn -n __fish_use_subcommand -a %s -d ", command->name);
        print_quoted(command->summary);
        putchar('\n');
        snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", command->name);
        print_fish_flags(command, condition);
        if (command->files)
            printf("complete -c cairn -n '%s' -F\n", condition);
        for (size_t j = 0; command->subcommands && command->subcommands[j]; j++) {
            const struct cairn_command *sub = command->subcommands[j];

            printf("complete -c cairn -n '%s' -a %s -d ", condition, cairn_command_word(sub));
            print_quoted(sub->summary);
            putchar('\n');
            snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s",
                     command->name, cairn_command_word(sub));
            print_fish_flags(sub, condition);
            snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", command->name);
        }
    }
}

static int run(int argc, char **argv)
{
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_completion, argc, argv, NULL, &left, &status))
        return status;
    if (strcmp(argv[0], "names") == 0)
        return cairn_print_names(left - 1, argv + 1);
    if (left > 1)
        return cairn_complain(CAIRN_EXIT_USAGE, "give one shell: bash, zsh or fish");
    if (strcmp(argv[0], "bash") == 0)
        print_bash();
    else if (strcmp(argv[0], "zsh") == 0)
        print_zsh();
    else if (strcmp(argv[0], "fish") == 0)
        print_fish();
    else
        return cairn_complain(CAIRN_EXIT_USAGE, "there is a completion for bash, zsh and fish, not for '%s'", argv[0]);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Prints a completion script for a shell",
    .more =
        "  bash   eval \"$(cairn completion bash)\"\n"
        "  zsh    cairn completion zsh > \"${fpath[1]}/_cairn\"\n"
        "  fish   cairn completion fish > ~/.config/fish/completions/cairn.fish\n"
        "Names of types, methods, objects and modules come from the node at CAIRN_URL.  The scripts ask for them with\n"
        "'cairn completion names -- WORD...', the words of the line, the last being typed.",
    .arguments_min = 1,
    .arguments_max = -1,
    .run = run,
};
