/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of `lguest report` that choose what may be told. */
#ifndef LGUEST_REPORT_H
#define LGUEST_REPORT_H

#include <jansson.h>

/* Those words of the kernel's command line that matter, as an array. */
json_t *report_cmdline(const char *line);
/* What the module's self-test wrote to the kernel's log, as an array of lines. */
json_t *report_selftest(const char *log);

#endif /* LGUEST_REPORT_H */
