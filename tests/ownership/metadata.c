/* Every call that changes an inode's owner, mode or times, on every kind of inode, by several callers. The same must come
 * out for real root and under remainroot.
 *
 * Arguments: a directory to work in, where the test has put root's own inodes whose names begin with "hosts"; "all",
 * which makes a fact first, or the number of one case, which is then the first thing that happens; without a number
 * it says how many there are. */
#include "raw.h"
#include "show.h"

struct times { long seconds, fraction; };
struct times64 { long long seconds, nanoseconds; };

#define NOW ((1l << 30) - 1l)
#define OMIT ((1l << 30) - 2l)

/* What is looked at after a call: by name and, where that was opened before, by descriptor. */
static const char *target;
static int open_file, open_path;
static struct statx before;
static long long started;

static void look(struct statx *into, const char *path) {
	memset(into, 0, sizeof *into);
	SYS(statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, into);
}

static void moment(const char *name, long long seconds, long nanoseconds, struct statx_timestamp *was, int whole) {
	text(name);
	if ((int)seconds == (int)was->tv_sec && (whole || nanoseconds == was->tv_nsec)) text(" same");
	else if (seconds >= started && seconds < started + 1000) text(" now");
	else put(' '), decimal((word)seconds), put('.'), decimal(nanoseconds);
}

/* Whether the target's name begins so. */
static int is(const char *name) {
	unsigned at = 0;
	while (name[at] && name[at] == target[at]) at++;
	return !name[at];
}

/* Owner, mode and times; of ctime only whether it moved, as the filesystem itself tells. */
static void line(const char *how, word uid, word gid, word mode, long long atime, long an, long long mtime, long mn, int whole) {
	text("  "), text(how), put(' ');
	decimal(uid), put(':'), decimal(gid), put(' '), number(mode, 8);
	moment(" atime", atime, an, &before.stx_atime, whole);
	moment(" mtime", mtime, mn, &before.stx_mtime, whole);
	put('\n');
}

#define LINE(how, result, s) do { word came_ = (result); if (came_) failed(how, came_); else \
	line(how, s.st_uid, s.st_gid, s.st_mode, s.st_atime, s.st_atime_nsec, s.st_mtime, s.st_mtime_nsec, 0); } while (0)

static void after(void) {
	LINE("lstat", SYS(lstat, target, &buffer), buffer.plain);
	/* A process's file that is open shows what it was given until somebody looks it up by name. */
	if (open_file >= 0 && !is("/proc/self")) LINE("fstat", SYS(fstat, open_file, &buffer), buffer.plain);
#ifdef __i386__
	LINE("lstat64", SYS(lstat64, target, &buffer), buffer.wide);
	word came = SYS(oldlstat, target, &buffer);
	if (came) failed("oldlstat", came);
	else line("oldlstat", buffer.old.st_uid, buffer.old.st_gid, buffer.old.st_mode,
		(int)buffer.old.st_atime, 0, (int)buffer.old.st_mtime, 0, 1);
#endif
	struct statx now;
	look(&now, target);
	line("statx", now.stx_uid, now.stx_gid, now.stx_mode, now.stx_atime.tv_sec, now.stx_atime.tv_nsec,
		now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec, 0);
	/* Who asks for the owner alone need not be told the times. */
	struct statx owner;
	if (!SYS(statx, AT_FDCWD, target, AT_SYMLINK_NOFOLLOW, STATX_UID, &owner)) {
		text("  statx of the owner "), decimal(owner.stx_uid), put(':'), decimal(owner.stx_gid), put(' ');
		number(owner.stx_mode, 8), text(" mask "), number(owner.stx_mask & STATX_BASIC_STATS, 8);
		text(owner.stx_ctime.tv_sec ? " ctime\n" : "\n");
	}
	int moved = now.stx_ctime.tv_sec != before.stx_ctime.tv_sec || now.stx_ctime.tv_nsec != before.stx_ctime.tv_nsec;
	/* Set-id bits of an inode that is not ours keep the kernel from moving its ctime; of a sysctl it moves too often. */
	if (is("hosts-set-id") || is("/proc/sys")) return;
	text(moved ? "  ctime moved\n" : "  ctime stands\n");
}

/* The calls. */

static word chowned(int form, unsigned uid, unsigned gid) {
	switch (form) {
	case 0: return WIDE(chown, target, uid, gid);
	case 1: return WIDE(lchown, target, uid, gid);
	case 2: return WIDE(fchown, open_file, uid, gid);
	case 3: return SYS(fchownat, AT_FDCWD, target, uid, gid, AT_SYMLINK_NOFOLLOW);
	case 4: return SYS(fchownat, open_path, "", uid, gid, AT_EMPTY_PATH);
	case 5: return WIDE(fchown, open_path, uid, gid);
	}
	return 0;
}

static word chmodded(int form, int mode) {
	switch (form) {
	case 0: return SYS(chmod, target, mode);
	case 1: return SYS(fchmod, open_file, mode);
	case 2: return SYS(fchmodat, AT_FDCWD, target, mode);
	case 3: return SYS(fchmodat2, open_path, "", mode, AT_EMPTY_PATH);
	case 4: return SYS(fchmodat2, AT_FDCWD, target, mode, AT_SYMLINK_NOFOLLOW);
	case 5: return SYS(fchmod, open_path, mode);
	}
	return 0;
}

/* utimensat with its structure, in the form that the ABI calls native. */
static word timed(int form, long as, long an, long ms, long mn) {
	struct times nano[2] = { { as, an }, { ms, mn } };
	switch (form) {
	case 0: return SYS(utimensat, AT_FDCWD, target, nano, 0);
	case 1: return SYS(utimensat, AT_FDCWD, target, nano, AT_SYMLINK_NOFOLLOW);
	case 2: return SYS(utimensat, open_file, 0, nano, 0);
	case 3: return SYS(utimensat, open_path, "", nano, AT_EMPTY_PATH);
	case 4: return SYS(utimensat, open_path, 0, nano, 0);
	}
#ifdef __i386__
	struct times64 wide[2] = { { as, an }, { ms, mn } };
	if (form == 5) return SYS(utimensat_time64, AT_FDCWD, target, wide, AT_SYMLINK_NOFOLLOW);
#endif
	return 0;
}

static void cases_of_chown(int form) {
	static const unsigned ids[][2] = { { 7, 8 }, { 0, 0 }, { KEEP, KEEP }, { KEEP, 9 }, { 1000, KEEP }, { KEEP, 1000 } };
	for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) step("chown", chowned(form, ids[i][0], ids[i][1])), after();
}

static void cases_of_chmod(int form) {
	static const int modes[] = { 0777, 0767, 04711, 02755, 0640 };
	/* Others live on this machine: what is its own stays open to them. */
	unsigned count = is("/") ? 2 : sizeof modes / sizeof *modes;
	for (unsigned i = 0; i < count; i++) step("chmod", chmodded(form, modes[i])), after();
}

static void cases_of_utimensat(int form) {
	static const long times[][4] = {
		{ 1000000000, 123456789, 1100000000, 987654321 }, { 5, 6, 7, OMIT }, { 5, OMIT, 70, 8 }, { 0, NOW, 9, 10 },
		{ 11, 12, 0, NOW }, { 0, NOW, 0, NOW }, { 0, OMIT, 0, OMIT }, { 0, NOW, 0, OMIT }, { 0, 1000000000, 0, 0 },
		{ -1, 5, -2, 6 }, { 3, 4, 0, -1 }, { 1200000000, 0, 1300000000, 0 },
	};
	for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
		step("utimensat", timed(form, times[i][0], times[i][1], times[i][2], times[i][3])), after();
}

static void cases_of_others(int form) {
	struct times micro[2] = { { 1000000001, 5 }, { 1000000002, 6 } }, wrong[2] = { { 1, 1000000 }, { 2, 0 } };
	long whole[2] = { 1000000003, 1000000004 };
	switch (form) {
	case 0: step("utime", SYS(utime, target, whole)), after(); step("utime null", SYS(utime, target, 0)); break;
	case 1: step("utimes", SYS(utimes, target, micro)), after(); step("utimes null", SYS(utimes, target, 0)); break;
	case 2: step("futimesat", SYS(futimesat, AT_FDCWD, target, micro)), after();
		step("futimesat fd", SYS(futimesat, open_file, 0, micro)), after();
		step("futimesat null", SYS(futimesat, AT_FDCWD, target, 0)); break;
	case 3: step("utimes wrong", SYS(utimes, target, wrong)); break;
	case 4: step("utimensat null", SYS(utimensat, AT_FDCWD, target, 0, 0)), after();
		step("utimensat fd null", SYS(utimensat, open_file, 0, 0, 0)); break;
	case 5: step("utimensat flags", SYS(utimensat, AT_FDCWD, target, micro, 2));
		step("utimensat fault", SYS(utimensat, AT_FDCWD, target, 16, 0));
		step("utimensat path fault", SYS(utimensat, AT_FDCWD, 16, micro, 0));
		step("utimensat nothing", SYS(utimensat, AT_FDCWD, 0, micro, 0));
		step("utimensat fd flags", SYS(utimensat, open_file, 0, micro, AT_SYMLINK_NOFOLLOW));
		step("utime fault", SYS(utime, target, 16));
		step("utimes absent", SYS(utimes, "absent", micro));
		step("utimensat empty", SYS(utimensat, AT_FDCWD, "", micro, 0));
		step("utimensat bad fd", SYS(utimensat, 99, 0, micro, 0)); break;
	}
	after();
}

static void (*const calls[])(int) = { cases_of_chown, cases_of_chmod, cases_of_utimensat, cases_of_others };
static const char *const call_names[] = { "chown", "chmod", "utimensat", "other times" };

static const char *const targets[] = {
	"own", "own-directory", "own-link", "own-fifo", "hosts", "hosts-open", "hosts-set-id", "hosts-directory", "hosts-link",
	"hosts-fifo", "hosts-socket", "given", "absent", "own/x", "hosts-read-only", "/proc", "/sys/kernel/notes", "/dev/full",
	"/proc/version", "/proc/sys/kernel/ostype", "/proc/self/limits",
};

enum { FORMS = 6, CALLS = 4, TARGETS = sizeof targets / sizeof *targets, CALLERS = 3, CASES = FORMS * CALLS * TARGETS * CALLERS };

struct header { unsigned version; int pid; };
struct data { unsigned effective, permitted, inheritable; };

/* Root, a user, and a user that may do as the owner. */
static void become(int caller) {
	static const unsigned groups[] = { 1000, 20 };
	struct header header = { 0x20080522, 0 };
	struct data data[2] = { { 8, 8, 0 }, { 0, 0, 0 } };
	if (caller == 0) return;
	if (caller == 2) SYS(prctl, 8, 1, 0, 0, 0); /* PR_SET_KEEPCAPS */
	step("setgroups", WIDE(setgroups, 2, groups));
	step("setresgid", WIDE(setresgid, 1000, 1000, 1000));
	step("setresuid", WIDE(setresuid, 1000, 1000, 1000));
	if (caller == 2) step("capset", SYS(capset, &header, data));
}

static void own(void) {
	shut(SYS(open, "own", O_CREAT | O_RDWR, 0644));
	SYS(mkdir, "own-directory", 0755);
	SYS(symlink, "own", "own-link");
	SYS(mknod, "own-fifo", 0010644, 0);
}

static void disown(void) {
	SYS(unlink, "own"), SYS(rmdir, "own-directory"), SYS(unlink, "own-link"), SYS(unlink, "own-fifo"), SYS(unlink, "given");
}

/* The machine's own inodes as they were. */
static void restore(const char *path, struct statx *was) {
	WIDE(lchown, path, was->stx_uid, was->stx_gid);
	if ((was->stx_mode & 0170000) != 0120000) SYS(chmod, path, was->stx_mode & 07777);
	struct times nano[2] = { { was->stx_atime.tv_sec, was->stx_atime.tv_nsec }, { was->stx_mtime.tv_sec, was->stx_mtime.tv_nsec } };
	SYS(utimensat, AT_FDCWD, path, nano, AT_SYMLINK_NOFOLLOW);
}

static void one(int number) {
	int form = number % FORMS, call = number / FORMS % CALLS, caller = number / FORMS / CALLS % CALLERS;
	target = targets[number / FORMS / CALLS / CALLERS];
	decimal(number), text(" "), text(call_names[call]), text(" form "), decimal(form), text(" of "), text(target);
	text(" by caller "), decimal(caller), put('\n');
	flush();
	own();
	if (is("given")) {
		shut(SYS(open, "given", O_CREAT | O_RDWR, 0600));
		WIDE(chown, "given", 1000, 50);
	}
	open_file = SYS(open, target, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
	open_path = SYS(open, target, O_PATH | O_NOFOLLOW);
	look(&before, target);
	/* Until ctime can move: the clock of filesystems is the coarse one. */
	struct times now, pause = { 0, 200000 };
	while (!SYS(clock_gettime, 5, &now) && (now.seconds < before.stx_ctime.tv_sec
			|| (now.seconds == before.stx_ctime.tv_sec && now.fraction <= before.stx_ctime.tv_nsec)))
		SYS(nanosleep, &pause, 0);
	int child = SYS(fork);
	if (child == 0) {
		become(caller);
		calls[call](form);
		flush();
		SYS(exit_group, 0);
	}
	SYS(wait4, child, 0, 0, 0);
	after();
	restore(target, &before);
	if (before.stx_mode) after();
	shut(open_file), shut(open_path);
	disown();
}

static void run(int argc, char **argv) {
	struct times now;
	if (argc < 2 || SYS(chdir, argv[1])) SYS(exit_group, 2);
	SYS(clock_gettime, 0, &now);
	started = now.seconds - 1;
	SYS(umask, 022);
	SYS(unshare, 0x20000); /* CLONE_NEWNS */
	SYS(mount, 0, "/", 0, 0x44000, 0); /* MS_REC | MS_PRIVATE */
	step("bind", SYS(mount, "hosts-read-only", "hosts-read-only", 0, 0x1000, 0));
	step("read-only", SYS(mount, 0, "hosts-read-only", 0, 0x1021, 0));
	disown();
	if (argc < 3) return (void)(decimal(CASES), put('\n'));
	if (argv[2][0] == 'a') {
		shut(SYS(open, "own", O_CREAT | O_RDWR, 0644));
		step("first", WIDE(chown, "own", 1, 1));
		disown();
		for (int number = 0; number < CASES; number++) one(number);
		return;
	}
	int number = 0;
	for (char *digit = argv[2]; *digit; digit++) number = number * 10 + *digit - '0';
	one(number);
}
