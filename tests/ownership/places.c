/* Gives files away and looks at them by every way to name a file, in a root directory that has no /proc. The first
 * argument is a directory to work in; with a second one the kernel has no calls of Linux 6.13, as far as is seen here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(call) ((call) == -1 ? (printf("%s: %s\n", #call, strerror(errno)), exit(1)) : (void)0)

static const char *kinds[] = { "f", "d", "dev", "l" };
#define KINDS 4

static void make(const char *directory) {
	CHECK(mkdir(directory, 0755));
	CHECK(chdir(directory));
	CHECK(close(creat("f", 0644)));
	CHECK(mkdir("d", 0755));
	CHECK(mknod("dev", S_IFCHR | 0640, makedev(1, 3)));
	CHECK(symlink("f", "l"));
	CHECK(chdir(".."));
}

static void show(const char *way, const char *name, int result, const struct stat *st) {
	if (result == -1)
		printf("%s %s: %s\n", way, name, strerror(errno));
	else
		printf("%s %s: %o %d:%d %x\n", way, name, st->st_mode, st->st_uid, st->st_gid, (int)st->st_rdev);
}

/* By every way; each is asked in a process of its own, so that none profits from the working directory of another. */
static void look(int directory, const char *path) {
	struct stat st;
	char whole[64];
	for (int kind = 0; kind < KINDS; kind++) {
		const char *name = kinds[kind];
		show("at", name, fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW), &st);
		show("at, followed", name, fstatat(directory, name, &st, 0), &st);
		snprintf(whole, sizeof whole, "%s/%s", path, name);
		show("path", name, lstat(whole, &st), &st);
		int only = openat(directory, name, O_PATH | O_NOFOLLOW);
		show("only a path", name, fstat(only, &st), &st);
		show("only a path, empty", name, fstatat(only, "", &st, AT_EMPTY_PATH), &st);
		close(only);
		int open = openat(directory, name, O_RDONLY | O_NOFOLLOW);
		if (kind < 2)
			show("open", name, fstat(open, &st), &st);
		close(open);
	}
}

/* Gives each away to another owner by another way. */
static void give(int directory, int uid) {
	for (int kind = 0; kind < KINDS; kind++) {
		const char *name = kinds[kind];
		int only = openat(directory, name, O_PATH | O_NOFOLLOW);
		if ((kind + uid) % 2)
			CHECK(fchownat(directory, name, uid, uid + kind, AT_SYMLINK_NOFOLLOW));
		else
			CHECK(fchownat(only, "", uid, uid + kind, AT_EMPTY_PATH));
		close(only);
	}
}

/* What lowest descriptor is free. */
static int lowest(void) {
	int free = dup(0);
	close(free);
	return free;
}

static void forget_new_calls(void) {
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 463, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 466, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

int main(int argc, char **argv) {
	setvbuf(stdout, NULL, _IONBF, 0);
	/* As a wrapper: everything else under a kernel without the new calls. */
	if (argc > 2 && !strcmp(argv[1], "without")) {
		forget_new_calls();
		execvp(argv[2], argv + 2);
		return 127;
	}
	umask(022);
	CHECK(chdir(argv[1]));
	make("t");
	int directory = open("t", O_RDONLY | O_DIRECTORY);
	int only = open("t", O_PATH);
	give(directory, 7);
	int free = lowest();
	CHECK(chroot("t"));
	/* The first look after the change, from a root without /proc. */
	look(directory, "");
	look(only, "");
	for (int uid = 20; uid < 24; uid++) {
		give(uid < 22 ? directory : only, uid);
		look(uid % 2 ? directory : only, "");
	}
	CHECK(fchmodat(directory, "f", 04711, 0));
	CHECK(fchownat(directory, "f", 0, 0, 0));
	CHECK(fchmodat(directory, "f", 04711, 0));
	look(directory, "");
	printf("no descriptor is left: %d\n", lowest() == free);
	return 0;
}
