/* Several processes make files of every kind, give them away, rename and remove them, without end. What is
 * begun and what is finished is told in lines, each in one write, so that who reads them knows it even when
 * everything was killed:
 *	+ NAME KIND		it is there
 *	? NAME UID GID		it is about to be given away
 *	! NAME UID GID		that is finished
 *	- NAME			it is about to be removed
 * A name with an "r" behind it is the same file renamed. As "show" it lists what is there instead:
 * NAME KIND UID GID MAJOR MINOR. Arguments: round processes, or show. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 6, FILES = 24 };

static unsigned state;

static unsigned below(unsigned bound) {
	state = state * 1664525 + 1013904223;
	return (state >> 8) % bound;
}

static void fail(const char *what, const char *name) {
	fprintf(stderr, "%s %s: %m\n", what, name);
	exit(1);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
	char line[128];
	va_list values;
	va_start(values, format);
	int length = vsnprintf(line, sizeof line, format, values);
	va_end(values);
	if (write(1, line, length) != length) exit(1);
}

static void make(const char *name, unsigned kind, unsigned number) {
	int result = 0;
	switch (kind) {
	case 0:
	case 1: result = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644); break;
	case 2: result = mkdir(name, 0755); break;
	case 3: result = symlink("nowhere", name); break;
	case 4: result = mkfifo(name, 0644); break;
	case 5: result = mknod(name, S_IFCHR | 0644, makedev(number, number)); break;
	}
	if (result < 0) fail("make", name);
	if (kind < 2) close(result);
}

static void give(const char *name, unsigned kind, unsigned uid, unsigned gid) {
	int file = -1, result;
	switch (below(3)) {
	case 0: result = lchown(name, uid, gid); break;
	case 1: result = fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW); break;
	default:
		file = open(name, kind == 5 ? O_PATH | O_CLOEXEC : O_PATH | O_NOFOLLOW | O_CLOEXEC);
		result = fchownat(file, "", uid, gid, AT_EMPTY_PATH);
		close(file);
	}
	if (result < 0) fail("give", name);
}

static void storm(unsigned round, unsigned who) {
	char base[FILES][32], now[FILES][32];
	unsigned kinds[FILES], given[FILES];
	state = round * 7919 + who;
	for (unsigned number = 0;; number++) {
		unsigned slot = number % FILES;
		if (number >= FILES) {
			say("- %s\n", base[slot]);
			if (remove(now[slot])) fail("remove", now[slot]);
		}
		unsigned kind = kinds[slot] = below(KINDS);
		sprintf(base[slot], "%u.%u.%u", round, who, number), strcpy(now[slot], base[slot]);
		make(now[slot], kind, number % 100 + 1), given[slot] = 0; /* 0:0 would be a whiteout, which bears nothing */
		say("+ %s %u\n", base[slot], kind);
		for (unsigned more = below(3); more; more--) {
			unsigned other = number < FILES ? below(number + 1) : below(FILES);
			if (below(3) == 0) {
				char to[40];
				sprintf(to, "%s%s", base[other], strcmp(base[other], now[other]) ? "" : "r");
				if (rename(now[other], to)) fail("rename", now[other]);
				strcpy(now[other], to);
				continue;
			}
			unsigned uid = below(4) ? 1000 + ++given[other] : 0, gid = below(4) ? number + 1 : 0;
			say("? %s %u %u\n", base[other], uid, gid);
			give(now[other], kinds[other], uid, gid);
			say("! %s %u %u\n", base[other], uid, gid);
		}
	}
}

static void show(void) {
	DIR *here = opendir(".");
	for (struct dirent *entry; here && (entry = readdir(here));) {
		static const mode_t types[KINDS] = { S_IFREG, 0, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR };
		struct stat found;
		unsigned kind = 0;
		if (entry->d_name[0] == '.') continue;
		if (lstat(entry->d_name, &found)) fail("stat", entry->d_name);
		while (kind < KINDS && types[kind] != (found.st_mode & S_IFMT)) kind++;
		printf("%s %u %u %u %u %u\n", entry->d_name, kind, found.st_uid, found.st_gid, major(found.st_rdev),
		       minor(found.st_rdev));
	}
}

int main(int argc, char **argv) {
	if (argc < 3) return show(), 0;
	for (unsigned who = 1; who < (unsigned)atoi(argv[2]); who++)
		if (fork() == 0) storm(atoi(argv[1]), who);
	storm(atoi(argv[1]), 0);
}
