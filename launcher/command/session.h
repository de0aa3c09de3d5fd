/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One command in a guest, by its agent: who asks for it, and the bytes to and fro.
 * The guest is not believed: see <lguest/agent_wire.h>.
 */
#ifndef LGUEST_SESSION_H
#define LGUEST_SESSION_H

#include <lguest/agent_wire.h>

#define SESSION_WORDS_MOST	4096	/* of a command, and so many variables */

struct session_request {
	const char *command;	/* of ours, for messages */
	const char *name;	/* of the guest */
	unsigned int flags;	/* AGENT_TERMINAL, ... */
	unsigned int rows, columns;
	const char *user, *root, *folder;	/* as in struct agent_start, or NULL */
	char **words, **variables;	/* NULL-ended; variables may be NULL */
};

/* Files of the session; -1: nothing comes from there, or what goes there is lost. */
struct session_files {
	int in, out, err;
	int signals;		/* a signalfd: passed on, but for SIGWINCH and SIGCONT */
	bool patient;		/* however many come */
};

enum session_result {
	SESSION_ENDED,		/* session->end says how */
	SESSION_GONE,		/* the guest has hung up */
	SESSION_NONSENSE,	/* what it says is against the rules */
	SESSION_LOST,		/* errno: output could not be written */
	SESSION_LEFT,		/* three signals within a second */
};

struct session {
	int fd;
	bool ended, gone;
	struct agent_exit end;
	struct agent_wire wire;
	struct agent_source in;
	struct agent_sink sinks[AGENT_STREAMS];	/* but for AGENT_IN */
	uint32_t waiting_signal;	/* 0: none */
	bool resized;
	uint64_t asked[3];	/* when the last signals came */
};

/* Connect to the agent of a guest, which may be about to start.  -1 after a message. */
int session_connect(const char *command, const char *name);
/*
 * Run a tool of the agent's own, below @root (or NULL), with these files (or -1) and our
 * stderr; its status, or one of ours after a message.
 */
int session_tool(const char *command, const char *name, const char *root, char **words,
		 int in, int out);
/* Ask for it; false after a message. */
bool session_begin(struct session *session, int fd, const struct session_request *request);
enum session_result session_run(struct session *session, const struct session_files *files);
/* Signals from now on come by this descriptor; SIGPIPE is ignored. */
int session_signals(void);
/* All whole frames that came; false: nonsense. */
bool session_take(struct session *session);
/* The command's status, 128 + signal, or a message and one of ours. */
int session_status(struct session *session, const struct session_request *request,
		   enum session_result result);

#endif /* LGUEST_SESSION_H */
