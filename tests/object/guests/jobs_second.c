/* jobs, whose durable method does something else. */
#define JOBS_SECOND
#include "jobs.c"
