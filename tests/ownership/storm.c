/* Many processes and threads' worth of chown, stat, rename and unlink at once; the first chown happens
 * while all of them run. Says only what is wrong. Arguments: directory, processes, rounds. */
#include "raw.h"

static unsigned value(const char *digits) {
	unsigned result = 0;
	while (*digits) result = result * 10 + (*digits++ - '0');
	return result;
}

static void name(char *to, char kind, unsigned who, unsigned round) {
	*to++ = kind;
	for (int shift = 12; shift >= 0; shift -= 4) *to++ = 'a' + (who >> shift & 15);
	for (int shift = 12; shift >= 0; shift -= 4) *to++ = 'a' + (round >> shift & 15);
	*to = 0;
}

static void expect(const char *path, unsigned who, unsigned uid, unsigned gid) {
	struct statx x;
	word result = SYS(statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &x);
	if (result == 0 && x.stx_uid == uid && x.stx_gid == gid) return;
	text(path), text(" of "), decimal(who), text(": "), decimal(result), put(' ');
	decimal(x.stx_uid), put(':'), decimal(x.stx_gid), text(" instead of ");
	decimal(uid), put(':'), decimal(gid), put('\n');
}

static void one(unsigned who, unsigned rounds) {
	char first[16], second[16];
	for (unsigned round = 0; round < rounds; round++) {
		name(first, 'f', who, round), name(second, 's', who, round);
		shut(SYS(open, first, O_CREAT | O_EXCL | O_RDWR, 0644));
		expect(first, who, 0, 0);
		WIDE(chown, first, who + 1, round);
		expect(first, who, who + 1, round);
		SYS(rename, first, second);
		expect(second, who, who + 1, round);
		WIDE(chown, second, 0, KEEP);
		expect(second, who, 0, round);
		if (round % 2) SYS(unlink, second);
		WIDE(chown, "shared", who, who);
		struct statx x;
		if (SYS(statx, AT_FDCWD, "shared", 0, STATX_BASIC_STATS, &x) || x.stx_uid != x.stx_gid)
			text("shared is torn\n");
	}
	flush();
	SYS(exit_group, filled != 0);
}

static void run(int argc, char **argv) {
	if (argc != 4 || SYS(chdir, argv[1])) SYS(exit_group, 2);
	unsigned processes = value(argv[2]), rounds = value(argv[3]);
	SYS(mkdir, "storm", 0755), SYS(chdir, "storm");
	shut(SYS(open, "shared", O_CREAT | O_RDWR, 0644));
	for (unsigned who = 0; who < processes; who++)
		if (SYS(fork) == 0) one(who, rounds);
	while (SYS(wait4, -1, 0, 0, 0) > 0) {}
	for (unsigned who = 0; who < processes; who++)
		for (unsigned round = 0; round < rounds; round += 2) {
			char path[16];
			name(path, 's', who, round);
			expect(path, who, 0, round);
		}
	text("over\n");
}
