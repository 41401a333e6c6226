/* Shuts itself into a filter that kills it for statx, fchownat and fchmodat, then looks at a file that
 * was given away before, and tries what it may. Argument: the file. */
#include "raw.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#define KILL(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void run(int argc, char **argv) {
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		KILL(statx), KILL(fchownat), KILL(fchmodat), KILL(mmap),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
	step("no_new_privs", SYS(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	step("seccomp", SYS(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
	struct stat found;
	step("stat", SYS(stat, argv[1], &found));
	decimal(found.st_uid), put(':'), decimal(found.st_gid), put('\n');
	step("chown to root", SYS(chown, argv[1], 0, 0));
	step("chown", SYS(chown, argv[1], 9, 9));
	step("chmod", SYS(chmod, argv[1], 0600));
	shut(step("open", SYS(open, "new", O_CREAT | O_RDWR, 0600)));
	step("mkdir", SYS(mkdir, "directory", 0700));
	step("mknod", SYS(mknod, "device", 0020600, 0x103));
	flush();
	if (SYS(fork) == 0) {
		step("stat of a child", SYS(stat, argv[1], &found));
		flush();
		SYS(exit_group, 0);
	}
	SYS(wait4, -1, 0, 0, 0);
}
