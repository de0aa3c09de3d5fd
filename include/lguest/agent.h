/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How `lguest exec` and the agent in a guest talk: one connection to a port of the
 * guest's vsock for each command, with frames in both directions.  The host starts
 * with AGENT_START; the guest's last frame is AGENT_EXIT.  A connection that ends
 * before that: the host's end, and the command gets a SIGHUP; the guest's, and it is
 * gone.  Numbers are of x86, with the low byte first.
 */
#ifndef LGUEST_AGENT_H
#define LGUEST_AGENT_H

#include <stdint.h>

#define AGENT_PORT	700		/* below 1024: in the guest root's alone */
#define AGENT_PIECE	16384U		/* bytes in a frame at most, but in AGENT_START */
#define AGENT_WINDOW	65536U		/* bytes of a stream that are not yet AGENT_TAKEN */
#define AGENT_REQUEST	131072U		/* bytes in AGENT_START at most */

enum agent_kind {
	AGENT_START = 1,	/* host: struct agent_start, and texts */
	AGENT_DATA,		/* both: of a stream; no bytes: its end */
	AGENT_TAKEN,		/* both: uint32_t, so many bytes of a stream went on */
	AGENT_SIGNAL,		/* host: uint32_t, for the command's process group */
	AGENT_SIZE,		/* host: struct agent_size, of its terminal */
	AGENT_EXIT,		/* guest: struct agent_exit */
	AGENT_KINDS
};

enum agent_stream { AGENT_IN, AGENT_OUT, AGENT_ERR, AGENT_STREAMS };

struct agent_frame {
	uint16_t kind;
	uint16_t stream;	/* of DATA and TAKEN, else 0 */
	uint32_t size;		/* of what follows */
};

#define AGENT_TERMINAL	1U	/* a terminal for all three streams */
#define AGENT_INPUT	2U	/* AGENT_IN will come; without it: /dev/null */
#define AGENT_OWN_TOOLS	4U	/* the command is an applet of the agent's own busybox */

struct agent_size {
	uint16_t rows, columns;	/* at first 0: unknown */
};

/*
 * Behind it, each with a NUL: user ("name", "uid", with ":group,group..." or not; empty: root),
 * root (a folder to be in; or empty), folder (to start in; empty: the user's home, or
 * /), the words of the command, its variables ("K=V").
 */
struct agent_start {
	uint32_t flags;
	struct agent_size size;
	uint32_t words, variables;
};

enum agent_how {
	AGENT_EXITED,		/* value: status */
	AGENT_KILLED,		/* signal */
	/* It was not started, value: errno. */
	AGENT_NO_USER, AGENT_NO_ROOT, AGENT_NO_FOLDER, AGENT_NO_TERMINAL,
	AGENT_NO_PROCESS, AGENT_NO_PROGRAM,
	AGENT_HOWS
};

struct agent_exit {
	uint32_t how, value;
};

#endif /* LGUEST_AGENT_H */
