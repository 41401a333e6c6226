/* place ACTION... -- COMMAND...: changes what a command may do, action after action, and executes it.
 *
 *   unknown=ERRNO        a seccomp filter answers every number from 1000 on so, -1 too, in each ABI
 *   no-new-namespaces    a seccomp filter refuses unshare and clone that would make a user namespace
 *   no-new-privs         sets no_new_privs
 *   no-capabilities      empties every set of capabilities and the bounding set
 *   chroot               a root directory that is not the mount namespace's: no user namespace can be made there
 *   user=ID              becomes this user, in no group but its own
 *
 * What needs real root stands before user=ID; no-new-privs stands before a filter that a user loads. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(errno) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define IF(what, value, yes, no) BPF_JUMP(BPF_JMP | (what) | BPF_K, value, yes, no)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#if defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
#else
#define NATIVE AUDIT_ARCH_X86_64
#endif

static void need(int done, const char *what) {
    if (!done) {
        fprintf(stderr, "place: %s: %s\n", what, strerror(errno));
        exit(125);
    }
}

static void load(struct sock_filter *filter, unsigned short count) {
    struct sock_fprog program = {count, filter};
    need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

static void unknown(int answer) {
    struct sock_filter filter[] = {LOAD(nr), IF(BPF_JGE, 1000, 0, 1), ANSWER(answer), ALLOW};
    load(filter, COUNT(filter));
}

/* clone3(2) keeps its flags in memory, where no filter looks. It is let pass, since threads and children are made by it. */
static void no_new_namespaces(void) {
    struct sock_filter filter[] = {
        LOAD(arch),
        IF(BPF_JEQ, NATIVE, 0, 3),
        LOAD(nr),
        IF(BPF_JEQ, __NR_unshare, 4, 0),
        IF(BPF_JEQ, __NR_clone, 3, 5),
        /* The numbers of i386 or arm. */
        LOAD(nr),
        IF(BPF_JEQ, 120, 1, 0),
        IF(BPF_JEQ, NATIVE == AUDIT_ARCH_X86_64 ? 310 : 337, 0, 2),
        LOAD(args[0]),
        IF(BPF_JSET, CLONE_NEWUSER, 1, 0),
        ALLOW,
        ANSWER(EPERM),
    };
    load(filter, COUNT(filter));
}

static void no_capabilities(void) {
    for (int capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
            need(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "bounding set");
    need(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0, "ambient set");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    need(syscall(SYS_capset, &header, none) == 0, "capset");
}

/* The same files again, one mount deeper. */
static void enter_root(void) {
    char here[4096];
    need(getcwd(here, sizeof here) != NULL, "working directory");
    need(unshare(CLONE_NEWNS) == 0, "unshare");
    int private = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (private != 0 && errno == EINVAL) return; /* Its root is no mount point: this is a chroot already. */
    need(private == 0, "private mounts");
    need(mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL) == 0, "bind mount");
    need(chroot("/mnt") == 0 && chdir(here) == 0, "chroot");
}

static void become(unsigned id) {
    need(setgroups(0, NULL) == 0 && setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0, "user");
    need(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0, "dumpable");
}

int main(int count, char **words) {
    int at = 1;
    for (; at < count && strcmp(words[at], "--"); at++) {
        const char *value = strchr(words[at], '=');
        if (!strncmp(words[at], "unknown=", 8)) unknown(atoi(value + 1));
        else if (!strncmp(words[at], "user=", 5)) become(strtoul(value + 1, NULL, 10));
        else if (!strcmp(words[at], "no-new-namespaces")) no_new_namespaces();
        else if (!strcmp(words[at], "no-new-privs")) need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, words[at]);
        else if (!strcmp(words[at], "no-capabilities")) no_capabilities();
        else if (!strcmp(words[at], "chroot")) enter_root();
        else errno = EINVAL, need(0, words[at]);
    }
    if (at + 1 < count) execvp(words[at + 1], words + at + 1);
    int code = errno == ENOENT ? 127 : 126;
    perror(at + 1 < count ? words[at + 1] : "place");
    return code;
}
