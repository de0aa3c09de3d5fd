/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `lguest check --deep`: what of this machine matters for loading lg.ko.  Each
 * condition has a row, whether it is met here or not.
 */
#ifndef LGUEST_DEEP_H
#define LGUEST_DEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "facts.h"

enum verdict {
	VERDICT_OK,
	VERDICT_WARN,		/* it may go wrong, or work less well */
	VERDICT_REFUSE,		/* the module will not load, or no guest start */
	VERDICT_UNKNOWN,	/* it could not be found out */
	VERDICT_COUNT
};

/* What a condition's look at the machine gives: is it as feared? */
enum answer { NO, YES, UNKNOWN };

/* What was seen, to be shown behind the sentence. */
struct detail {
	char text[256];
};

struct condition {
	const char *id;
	const char *found_by;	/* where one sees it */
	enum answer (*judge)(const struct machine *m, const char *word,
			     struct detail *detail);
	const char *word;	/* for judges that look for one */
	enum verdict verdict;	/* if the answer is YES */
	const char *fine;	/* the sentence for NO */
	const char *trouble;	/* ... and for YES */
	const char *remedy;	/* NULL: YES needs none */
};

/* One row. */
struct finding {
	const struct condition *condition;
	enum verdict verdict;
	bool as_feared;
	struct detail detail;
};

extern const struct condition conditions[];
extern const size_t condition_count;

const char *verdict_name(enum verdict verdict);
struct finding find_out(const struct machine *m, const struct condition *condition);
const char *finding_sentence(const struct finding *finding);
/* NULL if there is nothing to do. */
const char *finding_remedy(const struct finding *finding);

#endif /* LGUEST_DEEP_H */
