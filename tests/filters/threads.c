/* Threads that load filters for themselves or for all, which kill for what the tracer would have them look up; then each gives
 * files away, makes devices and looks, and so do threads and processes that they make. */
#include "../lifecycle/guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KILL(name) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static pthread_barrier_t barrier;

static void load(unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        KILL(statx), KILL(fchownat), KILL(fchmodat), KILL(fsetxattr), KILL(setxattr), KILL(getxattr),
        KILL(listxattr), KILL(fgetxattr), KILL(mknodat), KILL(getpid), KILL(socketpair),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
    memset(code, 0, sizeof code);
}

/* What a task does; 0 where all is right. */
static int work(const char *name, unsigned id)
{
    char file[64], node[64];
    struct stat found;
    snprintf(file, sizeof file, "%s.f", name), snprintf(node, sizeof node, "%s.n", name);
    int fd = syscall(SYS_open, file, O_CREAT | O_RDWR, 0600), wrong = fd < 0;
    wrong |= (syscall(SYS_chown, file, id, id + 1) != 0) << 1;
    wrong |= (syscall(SYS_stat, file, &found) != 0 || found.st_uid != id || found.st_gid != id + 1) << 2;
    wrong |= (syscall(SYS_chmod, file, 04711) != 0) << 3;
    wrong |= (syscall(SYS_fstat, fd, &found) != 0 || (found.st_mode & 07777) != 04711) << 4;
    wrong |= (syscall(SYS_mknod, node, 020600, 0x103) != 0) << 5;
    wrong |= (syscall(SYS_lstat, node, &found) != 0 || found.st_rdev != 0x103) << 6;
    wrong |= (syscall(SYS_lsetxattr, file, "trusted.a", "b", 1, 0) != 0) << 7;
    wrong |= (syscall(SYS_lgetxattr, file, "trusted.a", 0, 0) != 1) << 8;
    close(fd);
    return wrong;
}

static int all(const char *name, unsigned id)
{
    char child[64];
    int wrong = work(name, id), status = -1;
    snprintf(child, sizeof child, "%s.fork", name);
    pid_t pid = fork();
    if (pid == 0)
        _exit(work(child, id + 100) != 0);
    must(waitpid(pid, &status, 0) == pid);
    snprintf(child, sizeof child, "%s.vfork", name);
    pid = vfork();
    if (pid == 0)
        _exit(work(child, id + 200) != 0);
    int other = -1;
    must(waitpid(pid, &other, 0) == pid);
    return wrong | status << 10 | other << 20;
}

static void tell(const char *name, int wrong)
{
    printf("%s: %x\n", name, wrong);
}

static int results[4];

static void *second(void *argument)
{
    (void)argument;
    results[3] = all("second", 40);
    return NULL;
}

/* Loads one for itself alone. */
static void *loner(void *argument)
{
    (void)argument;
    load(0);
    pthread_barrier_wait(&barrier);
    results[0] = all("loner", 10);
    return NULL;
}

/* Gets that of the thread that loads one for all; makes another. */
static void *follower(void *argument)
{
    pthread_t thread;
    (void)argument;
    pthread_barrier_wait(&barrier);
    results[2] = all("follower", 30);
    must(pthread_create(&thread, NULL, second, NULL) == 0);
    pthread_join(thread, NULL);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    pthread_barrier_init(&barrier, NULL, 2);
    must(pthread_create(&thread, NULL, loner, NULL) == 0);
    pthread_barrier_wait(&barrier);
    results[1] = all("main", 20);
    pthread_join(thread, NULL);
    tell("loner", results[0]), tell("main", results[1]);
    must(pthread_create(&thread, NULL, follower, NULL) == 0);
    load(SECCOMP_FILTER_FLAG_TSYNC);
    pthread_barrier_wait(&barrier);
    tell("loader", all("loader", 50));
    pthread_join(thread, NULL);
    tell("follower", results[2]), tell("second", results[3]);
    return 0;
}
