/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the kernel's remedies.  An option that is renamed takes what depends on it
 * away without a word, so options are asked for here and nowhere else, by each of their
 * names, and tests/system/built.sh looks into lg.ko, for each kernel, whether everything
 * that the kernel has is in it.
 */
#ifndef _LG_COMPAT_MITIGATIONS_H
#define _LG_COMPAT_MITIGATIONS_H

/* CPU_IBRS_ENTRY is MITIGATION_IBRS_ENTRY since 6.9. */
#if defined(CONFIG_CPU_IBRS_ENTRY) || defined(CONFIG_MITIGATION_IBRS_ENTRY)
#define LG_IBRS_ENTRY
#endif

#endif
