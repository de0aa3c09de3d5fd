// SPDX-License-Identifier: GPL-2.0
/*
 * The manual page lguest(1) and the completion for bash.  Both are made of the
 * commands' tables, as --help is, so that they cannot differ.  What is more
 * than options (examples, files) is written here.
 * Read next: launcher/devices/devices.c.
 */
#include <string.h>

#include "distribution.h"
#include "lguest.h"
#include "options.h"

/*L:050
 * Text for troff: a dash that shall stay one, and no line that begins with a
 * dot, which would be a request.
 :*/
static void write_text(FILE *out, const char *text)
{
	bool begins = true;

	for (; *text; text++) {
		if (begins && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		begins = *text == '\n';
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

static void write_option(FILE *out, char letter, const char *name,
			 const char *argument, const char *help)
{
	fputs(".TP\n\\fB", out);
	if (letter)
		fprintf(out, "\\-%c\\fR, \\fB", letter);
	fputs("\\-\\-", out);
	write_text(out, name);
	fputs("\\fR", out);
	if (argument)
		fprintf(out, " \\fI%s\\fR", argument);
	fputc('\n', out);
	write_text(out, help);
	fputc('\n', out);
}

static void write_command(FILE *out, const struct command *command)
{
	const struct option *o;

	fprintf(out, ".SS lguest %s \\fR[\\fIoptions\\fR] ", command->name);
	write_text(out, command->arguments);
	fputs("\n.nf\n", out);
	write_text(out, command->summary);
	fputs("\n.fi\n", out);
	for (o = command->options; o->name; o++)
		write_option(out, o->letter, o->name, o->argument, o->help);
	write_option(out, 'h', "help", NULL, "say all this in short");
}

static const char introduction[] =
	".TH LGUEST 1 \"\" \"lguest " LGUEST_VERSION "\" \"User Commands\"\n"
	".SH NAME\nlguest \\- virtual machines without hardware support for them\n"
	".SH SYNOPSIS\n.B lguest\n\\fICOMMAND\\fR [\\fIoptions\\fR]\n"
	".SH DESCRIPTION\n"
	"A guest is a stock Linux kernel that runs, with its programs, at ring 3.\n"
	"The kernel module lg (see\n.BR lguest (4))\n"
	"switches between it and this machine;\n.B lguest\n"
	"loads the kernel, and is the guest's console and devices.\n"
	"The first run of a kernel links lguest's layer to it and keeps the result.\n"
	".SH COMMANDS\n";

static const char afterwards[] =
	".SH INPUT AND OUTPUT\n"
	"Without a\n.I COMMAND\nstandard input and output are the guest's console.\n"
	"On a terminal, every key is the guest's but Ctrl\\-A x, which ends it, and\n"
	"Ctrl\\-A Ctrl\\-A, which sends one Ctrl\\-A.\n"
	"A file or pipe is a script for the guest's shell.\n"
	".PP\nA\n.I COMMAND\ngets standard input byte for byte, up to its end;\n"
	"as with\n.BR ssh (1),\nit may be read further than the command does.\n"
	"Its output and errors come back apart, unless both are one terminal.\n"
	".SH GUESTS WITH A NAME\n"
	"With\n.B \\-\\-name\na guest has a socket,\n.IR RUN/lguest/NAME/control ,\n"
	"where RUN is $XDG_RUNTIME_DIR, /run/user/UID, or for root /run.\n"
	"Requests are JSON objects, one per line of 1024 bytes at most, as in\n"
	".PP\n.nf\n{\"command\": \"stop\", \"limit\": 10}\n.fi\n.PP\n"
	"The commands are status, statistics, stop (limit in seconds, force), pause,\n"
	"resume, balloon (bytes), wait, logs, console and size (the last two with rows, columns).\n"
	"Each is answered by a line with \"ok\", and \"error\" if that is false.\n"
	"Behind the answer to logs come as many bytes as its \"bytes\" says.\n"
	"After console the connection is the guest's console.\n"
	".PP\nA guest stops by running its own\n.IR /sbin/poweroff ;\n"
	"one that has none is switched off after a sync.\n"
	"While a guest is paused its clocks go on.\n"
	"What a detached launcher has to say goes to the system's log.\n"
	".SH COMMANDS IN A GUEST\n"
	"In a guest with a name, and without\n.BR \\-i ,\n"
	"commands are run by an agent of ours.\n.B lguest exec\n"
	"gives them our standard files, or with\n.B \\-t\na terminal;\n"
	"their environment is their own but for\n.BR \\-\\-env .\n"
	"Whatever ends exec, the command then gets SIGHUP.\n"
	".PP\n.nf\nlguest exec web \\-\\- uname \\-a\n"
	"lguest exec \\-i web \\-\\- sh \\-c \\(aqcat >/tmp/data\\(aq <data\n"
	"lguest exec \\-t web \\-\\- sh\n.fi\n"
	".PP\n.B lguest cp\ncopies as\n.BR \"cp \\-a\" ;\n"
	"what comes from a guest stays in its place, whatever names it has.\n"
	".PP\n.nf\nlguest cp site web:/srv\nlguest cp web:/var/log/messages .\n.fi\n"
	".PP\n.B lguest oci\nis a runtime for containers, which are guests then:\n"
	".PP\n.nf\npodman \\-\\-runtime /usr/bin/lguest\\-oci run debian uname \\-a\n.fi\n"
	".SH USER NETWORKING\n"
	"After\n.B \\-n user\ncome ports of this machine that lead to the guest, and rules:\n"
	".PP\n.nf\n\\-n user,2222:22,udp:53,deny=10.0.0.0/8\n"
	"\\-n user,allow=192.0.2.10:443,allow=[2001:db8::/32]:443\n.fi\n.PP\n"
	"The first rule that fits a packet's destination decides; what none fits may go,\n"
	"unless there is an allow.\n"
	"After the user's rules come these: 169.254.0.0/16, fe80::/10, fd00:ec2::254 and the\n"
	"addresses of this machine are denied, but for port 53.\n"
	"With\n.B host\\-loopback\nthe guest may call this machine,\n"
	"and by the gateway's address what listens at its loopback.\n"
	"Name servers are those of this machine; if it has its own, 169.254.1.1 stands for it.\n"
	".SH DEBUGGING THE KERNEL\n"
	"With\n.B \\-\\-gdb\nthe guest stands before its first instruction until gdb connects:\n"
	".PP\n.nf\nlguest link \\-\\-debug\\-file kernel.sym VMLINUZ\n"
	"gdb kernel.sym \\-ex \\(aqtarget remote PATH\\(aq\n.fi\n.PP\n"
	"Instead of kernel.sym the kernel of the distribution's debugging package will do:\n"
	"the guest runs where its kernel was linked.\n"
	"When gdb goes, its breakpoints are taken out and the guest runs on; it may come\n"
	"again, which stops the guest.\n"
	"The socket is open to the user alone.\n"
	".SH KERNEL PARAMETERS\n"
	"The guest gets cryptomgr.notests, which spares half of its boot: its ciphers\n"
	"do not test themselves\n(\\-p cryptomgr.notests=0 has them do so).\n"
	".SH SMALL GUESTS\n"
	"Debian's kernel needs 62M. Below 128M it does without tracefs, accounting of\n"
	"kernel memory in memory groups, and pressure averages\n"
	"(\\-p psi=1 brings these back).\n"
	".SH MACHINES THAT MATTER\n"
	"Before the module is loaded for the first time,\n.B lguest check \\-\\-deep\n"
	"names each condition of this machine that is known to matter for it, with what to\n"
	"do about it. It loads nothing and needs no privilege; what only root can see is\n"
	"unknown to others.\n.B \\-\\-json\n"
	"prints an array of objects with id, verdict, sentence, found_by, and, where there\n"
	"are such, detail and remedy.\n"
	".PP\n.B lguest report\n"
	"prints, as one JSON object, what a report about a machine should have, whether\n"
	"lguest works there or not, with or without the module: cpu, kernel (with those\n"
	"parameters that matter), mitigations, check, module (with what its self-test\n"
	"wrote to the kernel\\(aqs log), here and guest: some measurements, and the guest\\(aqs\n"
	"counters, which only root can read. What is not there has a reason beside it.\n"
	"No names of hosts or users, no addresses, serial numbers or files of the user are in\n"
	"it; the kernel\\(aqs release and version are as\n.BR uname (1)\nhas them.\n"
	".SH SECURITY\n"
	"While a guest runs, the parts of\n.B lguest\nthat deal with it have no capability,\n"
	"reach no file of the host by name but in their\n.BR \\-\\-share ,\n"
	"change no file's mode or owner elsewhere,\n"
	"make few system calls, and get little more memory; what else its caller had\n"
	"open is closed.\n"
	"One thread keeps the rights of the user, to start the guest anew:\n"
	"start guests as a member of the group lguest rather than as root.\n"
	".SH EXAMPLES\n.nf\n"
	"lguest run\n"
	"lguest run \\-\\- uname \\-r\n"
	"lguest run \\-m 1G \\-d disk.img \\-\\- mount /dev/vda /mnt\n"
	"lguest run \\-\\-detach \\-\\-name web \\-d disk.img; lguest console web; lguest stop web\n"
	"lguest stat \\-i 2\n.fi\n"
	".SH FILES\n"
	".TP\n.I /dev/lguest\nthe device of the module; members of its group may run guests\n"
	".TP\n.IR " KERNELS_IN_BOOT " \", \" " KERNELS_WITH_MODULES
	"\nkernels that can be booted\n"
	".TP\n.I /var/lib/lguest/layers\nguest layers, built by\n.B lguest link \\-\\-all\n"
	".TP\n.IR /var/cache/lguest \", \" ~/.cache/lguest\nkernels that have been linked;\n"
	"of the latter, what was not used for two months is removed when another is linked\n"
	".TP\n.I /sys/kernel/debug/lguest\ncounters of the guests that run (root only)\n"
	".SH SEE ALSO\n.BR lguest (4)\n";

void print_manual(FILE *out)
{
	size_t i;

	fputs(introduction, out);
	for (i = 0; commands[i]; i++)
		write_command(out, commands[i]);
	fputs(".SH EXIT STATUS\n", out);
#define S(number, name, text)			\
	fprintf(out, ".TP\n%d\n", number);	\
	write_text(out, text "\n");
	EXIT_STATUSES(S)
#undef S
	fputs(".TP\n0\\(en255\nthat of \\fICOMMAND\\fR, with \\fBlguest run \\-\\-"
	      " \\fICOMMAND\\fR\n", out);
	fputs(afterwards, out);
}

static bool takes_file(const struct option *o)
{
	static const char *const names[] = { "VMLINUZ", "FILE", "IMG", "DIR", "PATH" };
	size_t i;

	for (i = 0; o->argument && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(o->argument, names[i], strlen(names[i])))
			return true;
	return false;
}

static void write_case(FILE *out, const struct command *command)
{
	const char *between = "";
	const struct option *o;

	fprintf(out, "\t%s)\n\t\toptions='", command->name);
	for (o = command->options; o->name; o++)
		fprintf(out, "--%s ", o->name);
	fputs("--help'\n\t\tfiles='", out);
	for (o = command->options; o->name; o++) {
		if (!takes_file(o))
			continue;
		fprintf(out, "%s--%s", between, o->name);
		between = " ";
		if (o->letter)
			fprintf(out, " -%c", o->letter);
	}
	between = "";
	fputs("'\n\t\tvalues='", out);
	for (o = command->options; o->name; o++) {
		if (o->kind == OPTION_FLAG || takes_file(o))
			continue;
		fprintf(out, "%s--%s", between, o->name);
		between = " ";
		if (o->letter)
			fprintf(out, " -%c", o->letter);
	}
	fputs("' ;;\n", out);
}

void print_completion(FILE *out)
{
	size_t i;

	fputs("# bash completion for lguest: made by `lguest help --completion`\n"
	      "_lguest() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal i options files values\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tCOMPREPLY=($(compgen -W '", out);
	for (i = 0; commands[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", commands[i]->name);
	fputs("' -- \"$word\"))\n\t\treturn\n\tfi\n"
	      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	      "\t\t[[ ${COMP_WORDS[i]} != -- ]] || return 0\n"
	      "\tdone\n"
	      "\tcase ${COMP_WORDS[1]} in\n", out);
	for (i = 0; commands[i]; i++)
		write_case(out, commands[i]);
	fputs("\tesac\n"
	      "\tif [[ \" $files \" == *\" $previous \"* || ${COMP_WORDS[1]} == link && $word != -* ]]; then\n"
	      "\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
	      "\telif [[ \" $values \" != *\" $previous \"* && $word == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
	      "\tfi\n"
	      "}\n"
	      "complete -F _lguest lguest\n", out);
}
