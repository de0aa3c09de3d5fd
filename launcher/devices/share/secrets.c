// SPDX-License-Identifier: GPL-2.0
/*
 * The list of what a guest does not see of the host's root or homes, if nobody says
 * --show: keys, passwords, tokens, and what browsers know.  docs/SECURITY.md has it as
 * well.  A row more is all that it takes to hide one more thing.
 * Read next: hiding.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hidden.h"
#include "options.h"

/* Below each home; the last component is a pattern. */
static const char *const of_home[] = {
	".ssh", ".gnupg", ".pki", ".password-store", ".netrc", ".pgpass", ".my.cnf",
	".git-credentials", ".config/git/credentials", ".config/gh", ".config/hub",
	".npmrc", ".pypirc", ".cargo/credentials*", ".vault-token", ".config/rclone",
	".aws", ".azure", ".kube", ".config/gcloud", ".config/op", ".terraform.d/credentials*",
	".docker/config.json", ".config/containers/auth.json",
	".local/share/keyrings", ".local/share/kwalletd",
	".mozilla", ".thunderbird", ".config/google-chrome*", ".config/chromium",
	".config/BraveSoftware", ".config/microsoft-edge*", ".config/vivaldi*", ".config/opera*",
	"snap/firefox", "snap/chromium", ".var/app/org.mozilla.*", ".var/app/com.google.Chrome*",
	".bash_history", ".zsh_history",
};

static const char *const of_system[] = {
	"/etc/shadow*", "/etc/gshadow*", "/var/backups/*shadow*", "/etc/ssh/ssh_host_*key",
	"/etc/ssl/private", "/etc/pki/tls/private", "/etc/krb5.keytab", "/etc/wireguard",
	"/etc/NetworkManager/system-connections", "/etc/credstore*", "/var/lib/sss/secrets",
	"/var/lib/systemd/credential.secret", "/run/user", "/run/credentials", "/run/secrets",
	"/tmp/krb5cc*", "/tmp/ssh-*", "/dev/shm",
};

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

struct caller {
	const struct text_list *show;	/* or NULL */
	bool (*call)(void *with, const char *path);
	void *with;
};

/* The user shows it by its own path, or by that of a folder that it is in. */
static bool shown(const struct text_list *show, const char *pattern)
{
	unsigned int i;
	bool yes = false;

	for (i = 0; show && i < show->count && !yes; i++) {
		char *path = path_settle(show->items[i]);

		yes = path && (!fnmatch(pattern, path, FNM_PATHNAME) || path_below(pattern, path));
		free(path);
	}
	return yes;
}

static bool call_one(const struct caller *to, const char *home, const char *rest)
{
	char path[4096];
	int length = snprintf(path, sizeof(path), "%s%s%s", home, *home ? "/" : "", rest);

	if (length >= (int)sizeof(path) || shown(to->show, path))
		return true;
	return to->call(to->with, path);
}

/* NULL, or no more than a slash, is nobody's home. */
static bool each_of_home(const struct caller *to, const char *home)
{
	char *real = home && home[0] == '/' && home[1] ? path_settle(home) : NULL;
	bool go_on = true;
	size_t i;

	for (i = 0; real && real[1] && go_on && i < COUNT(of_home); i++)
		go_on = call_one(to, real, of_home[i]);
	free(real);
	return go_on;
}

/* By the file, as the services that know more users are slow, and take memory. */
static bool each_known(const struct caller *to)
{
	const char *sudo = getenv("SUDO_UID");
	uid_t user = getuid(), before = sudo ? (uid_t)strtoul(sudo, NULL, 10) : user;
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry;
	bool go_on = true;

	while (file && go_on && (entry = fgetpwent(file)))
		if (!entry->pw_uid || entry->pw_uid == user || entry->pw_uid == before)
			go_on = each_of_home(to, entry->pw_dir);
	if (file)
		fclose(file);
	return go_on;
}

/* Root's launcher could show everybody's. */
static bool each_in_home(const struct caller *to)
{
	DIR *dir = geteuid() ? NULL : opendir("/home");
	struct dirent *entry;
	char path[512];
	bool go_on = true;

	while (dir && go_on && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/home/%s", entry->d_name);
		go_on = each_of_home(to, path);
	}
	if (dir)
		closedir(dir);
	return go_on;
}

bool secrets_each(const struct text_list *show, bool (*call)(void *with, const char *path),
		  void *with)
{
	const struct caller to = { show, call, with };
	bool go_on = true;
	size_t i;

	for (i = 0; go_on && i < COUNT(of_system); i++)
		go_on = call_one(&to, "", of_system[i]);
	return go_on && each_known(&to) && each_of_home(&to, getenv("HOME")) && each_in_home(&to);
}

static bool is_shown(void *with, const char *pattern)
{
	const struct text_list list = { { with }, 1 };

	return !shown(&list, pattern);
}

bool secrets_shows(const char *path)
{
	return !secrets_each(NULL, is_shown, (void *)path);
}
