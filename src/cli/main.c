#include "cli/commands.h"

int main(int argc, char **argv)
{
    return cairn_cli(argc, argv);
}
