/* The module flow as another version has it: a method does its work in another order. */
#define FLOW_SECOND
#include "flow.c"
