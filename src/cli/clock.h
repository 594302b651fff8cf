/* clock.h - whether a moment that a user writes names one moment of the node, whose time it is.
 * Layer: cli. */
#ifndef CAIRN_CLI_CLOCK_H
#define CAIRN_CLI_CLOCK_H

/* Asks the node.  While its time is more than 5 s off the wall clock, a date and time of day could be of either, and
 * that is complained about, with what to write instead.  Milliseconds since 1970 are the node's.  CAIRN_EXIT_OK: go on.
 */
int cairn_clock_check_moment(const char *text);

#endif
