/* Loads a seccomp filter of its own, then does what takes root, drops, and does what a user may.
 * Arguments: what becomes of calls with these numbers ('k'illed, 'e'rror 95, 't'raced, 'n' as an error for all above, 'l'oaded
 * twice), the numbers with commas between, how the filter is loaded ('s'eccomp(2), 'p'rctl(2)). What would kill is left out. */
#include "../ownership/raw.h"
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

static int refused[64], refusals;
static char how, part;

static int may(int nr) {
	for (int i = 0; i < refusals; i++)
		if (refused[i] == nr && how == 'k') return 0;
	return 1;
}

static void left_out(const char *name) {
	text(name), text(" left out\n");
}

#define DO(nr, name, ...) (may(nr) ? (void)step(name, CALL(nr, ##__VA_ARGS__)) : left_out(name))
#if defined __i386__ || defined INT80
#define NR(name) __NR_##name##32
#else
#define NR(name) __NR_##name
#endif

static void opened(const char *name, const char *path, int flags) {
	if (!may(__NR_open)) return left_out(name);
	word descriptor = step(name, SYS(open, path, flags, 0666));
	if (may(__NR_close)) shut(descriptor);
}

#if defined __i386__ || defined INT80
/* struct stat64 of i386. */
struct found {
	char device[16];
	unsigned st_mode, links, st_uid, st_gid, st_rdev;
	char rest[64];
};
#endif

static void look(const char *name) {
#if defined __i386__ || defined INT80
	struct found found;
	memset(&found, 0, sizeof found);
	word result = SYS(lstat64, name, &found);
#else
	struct stat found;
	memset(&found, 0, sizeof found);
	word result = may(__NR_lstat) ? SYS(lstat, name, &found) : 0;
#endif
	text("  "), text(name), put(' '), decimal(result), put(' '), decimal(found.st_uid), put(':');
	decimal(found.st_gid), put(' '), number(found.st_mode, 8), put(' '), number(found.st_rdev, 16), put('\n');
}

static void attribute(const char *name) {
	char value[8];
	DO(__NR_setxattr, name, "f", name, "v", 1, 0);
	DO(__NR_setxattr, "  but if it is there", "f", name, "v", 1, 1);
	DO(__NR_getxattr, "  get", "f", name, value, sizeof value);
	DO(__NR_getxattr, "  its length", "f", name, 0, 0);
	DO(__NR_lsetxattr, "  of a link", "l", name, "v", 1, 0);
	DO(__NR_fsetxattr, "  of a descriptor", 8, name, "w", 1, 0);
	DO(__NR_fgetxattr, "  get", 8, name, value, sizeof value);
	DO(__NR_removexattr, "  remove", "f", name);
	DO(__NR_removexattr, "  remove", "f", name);
}

static void owners(void) {
	DO(NR(chown), "chown", "f", 5, 6), look("f");
	DO(NR(lchown), "lchown", "l", 7, 8), look("l");
	DO(NR(fchown), "fchown", 8, 9, KEEP), look("f");
	DO(__NR_fchownat, "fchownat", AT_FDCWD, "f", 11, 12, 0), look("f");
	DO(__NR_fchownat, "fchownat of a descriptor", 8, "", 13, 14, AT_EMPTY_PATH), look("f");
	DO(__NR_fchownat, "fchownat below", 9, "in", 15, 16, AT_SYMLINK_NOFOLLOW), look("d/in");
	DO(NR(chown), "chown of nothing", "none", 5, 6);
	DO(NR(chown), "chown to root", "f", 0, 0), look("f");
	DO(NR(chown), "chown back", "f", 33, 44), look("f");
}

static void modes(void) {
	DO(__NR_chmod, "chmod", "f", 04711), look("f");
	DO(__NR_fchmod, "fchmod", 8, 02640), look("f");
	DO(__NR_fchmodat, "fchmodat", AT_FDCWD, "d/in", 0600), look("d/in");
	DO(__NR_chmod, "chmod of nothing", "none", 0600);
}

static void nodes(const char *suffix) {
	static char names[3][16];
	for (int i = 0; i < 3; i++) {
		names[i][0] = "cbp"[i];
		int at = 1;
		for (const char *from = suffix; *from; from++) names[i][at++] = *from;
		names[i][at] = 0;
	}
	DO(__NR_mknod, "mknod", names[0], 020666, 0x103), look(names[0]);
	DO(__NR_mknodat, "mknodat", AT_FDCWD, names[1], 060640, 0x700), look(names[1]);
	DO(__NR_mknod, "fifo", names[2], 010644, 0), look(names[2]);
	DO(__NR_mknod, "once more", names[0], 020666, 0x103);
	DO(__NR_mknod, "in nothing", "none/c", 020666, 0x103);
	DO(__NR_mknod, "with a slash", "none/", 020666, 0x103);
}

static void times(void) {
	long both[4] = { 1000000, 1, 2000000, 2 };
	DO(__NR_utimensat, "utimensat", AT_FDCWD, "f", both, 0);
	DO(__NR_utimensat, "futimens", 8, 0, both, 0);
}

static void makes(const char *open, const char *directory, const char *in) {
	opened("open", open, O_CREAT | O_RDWR), look(open);
	DO(__NR_mkdir, "mkdir", directory, 0777), look(directory);
	opened("open in a set-gid directory", in, O_CREAT | O_EXCL | O_RDWR), look(in);
}

static void drop(void) {
	unsigned ids[3] = { 9, 9, 9 };
	unsigned groups[2] = { 44, 50 };
	DO(NR(setgroups), "setgroups", 2, groups);
	DO(NR(setresgid), "setresgid", 44, 44, 44);
	DO(NR(setresuid), "setresuid", 33, 33, 33);
	DO(NR(getuid), "getuid"), DO(NR(geteuid), "geteuid");
	DO(NR(getresuid), "getresuid", &ids[0], &ids[1], &ids[2]);
	decimal(ids[0]), put(' '), decimal(ids[1]), put(' '), decimal(ids[2]), put('\n');
	DO(NR(setresuid), "back", 0, 0, 0);
}

static void load(struct sock_fprog *program) {
	if (part == 'p') step("filter", SYS(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0));
	else step("filter", SYS(seccomp, SECCOMP_SET_MODE_FILTER, 0, program));
}

static void read_numbers(const char *numbers) {
	while (*numbers) {
		int nr = 0;
		while (*numbers >= '0' && *numbers <= '9') nr = 10 * nr + *numbers++ - '0';
		if (*numbers) numbers++;
		refused[refusals++] = nr;
	}
}

static void filter(void) {
	static struct sock_filter code[160];
	int length = 0;
	word action = how == 'k' ? SECCOMP_RET_KILL_PROCESS : how == 't' ? SECCOMP_RET_TRACE : SECCOMP_RET_ERRNO | 95;
	code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < refusals; i++) {
		int compared = how == 'n' ? BPF_JGE : BPF_JEQ;
		code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | compared | BPF_K, refused[i], 0, 1);
		code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	}
	code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { length, code };
	step("no_new_privs", SYS(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	load(&program);
	memset(code, 0, sizeof code); /* what was loaded is the kernel's */
}

static void run(int argc, char **argv) {
	how = argv[1][0], read_numbers(argv[2]);
	if (argc < 4) { /* after an exec */
		DO(__NR_prctl, "mode", PR_GET_SECCOMP, 0, 0, 0, 0);
		look("f"), makes("e1", "e2", "s/e3");
		DO(NR(chown), "chown", "e1", 7, 7), DO(__NR_chmod, "chmod", "e1", 0640), look("e1");
		return;
	}
	part = argv[3][0];
	SYS(umask, 027);
	word descriptor = SYS(open, "f", O_CREAT | O_RDWR, 0644);
	SYS(dup3, descriptor, 8, 0);
	SYS(symlink, "f", "l"), SYS(mkdir, "d", 0755), SYS(mkdir, "s", 0755);
	descriptor = SYS(open, "d", O_RDONLY);
	SYS(dup3, descriptor, 9, 0);
	shut(SYS(open, "d/in", O_CREAT | O_RDWR, 0644));
	WIDE(chown, "s", 0, 50), SYS(chmod, "s", 02777), SYS(chmod, "d", 0755), SYS(chmod, ".", 0777);
	step("mode", SYS(prctl, PR_GET_SECCOMP, 0, 0, 0, 0));
	filter();
	DO(__NR_prctl, "mode", PR_GET_SECCOMP, 0, 0, 0, 0);
	owners(), modes(), nodes("1"), times();
	attribute("trusted.a"), attribute("security.b"), attribute("user.c");
	makes("m1", "m2", "s/m3");
	flush();
	word child = SYS(fork);
	if (child == 0) {
		text("child\n"), look("f"), nodes("2"), DO(NR(chown), "chown", "m1", 70, 71), look("m1");
		drop(), makes("k1", "k2", "s/k3");
		flush();
		SYS(exit_group, 0);
	}
	int status = 0;
	SYS(wait4, child, &status, 0, 0);
	step("child", -status);
	drop(), owners(), modes(), nodes("3"), attribute("trusted.z"), attribute("user.z"), makes("x1", "x2", "s/x3");
	DO(__NR_unlink, "unlink", "m1"), DO(__NR_rename, "rename", "x1", "x4"), look("x4");
	flush();
	argv[3] = 0;
	DO(__NR_execve, "exec", argv[0], argv, argv + 3);
}
