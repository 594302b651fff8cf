/* names.h - names that a node knows, for completion (names.c).  Layer: cli. */
#ifndef CAIRN_CLI_NAMES_H
#define CAIRN_CLI_NAMES_H

/* argv: the words of the line behind "cairn", the last being typed.  Prints what it may become, a line each; returns
 * the exit status. */
int cairn_print_names(int argc, char **argv);

#endif
