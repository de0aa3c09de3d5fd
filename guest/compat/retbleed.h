/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parameter of Linux's cure for Retbleed says; 0 is "off".  7.x
 * sees by itself that there is no cure without the MSR, says no more than
 * "Vulnerable", and this variable is gone, as is its address.
 */
#ifndef _GUEST_COMPAT_RETBLEED_H
#define _GUEST_COMPAT_RETBLEED_H

extern int retbleed_cmd __weak;

static inline void no_retbleed_cure(void)
{
	if (&retbleed_cmd)
		retbleed_cmd = 0;
}

#endif /* _GUEST_COMPAT_RETBLEED_H */
