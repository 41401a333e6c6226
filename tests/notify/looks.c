// Looks so often that a listener answers, in circumstances that a listener could get wrong. `looks NAME` prints what
// every kernel prints where root may give files away.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef SITES
#include "../probe/sites.h"
#endif

static const char *NAMES[] = {"one", "two", "three", "four"};

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void give(int index) {
    int fd = open(NAMES[index], O_CREAT | O_WRONLY, 0640);
    check(fd >= 0, NAMES[index]);
    check(fchown(fd, 100 + index, 200 + index) == 0, "fchown");
    close(fd);
}

// Looks at a file that was given away; whether that went wrong. By the C library's stat(), or something like it, only
// where that is to be answered inside the process.
static int look(int index) {
    struct stat found;
#ifdef SITES
    if (by_site(SYS_stat, (long)NAMES[index], (long)&found, 0, 0, 0, 0) != 0) return 1;
#elif defined __x86_64__
    if (syscall(SYS_stat, NAMES[index], &found) != 0) return 1;
#else
    if (stat(NAMES[index], &found) != 0) return 1;
#endif
    return found.st_uid != 100u + index || found.st_gid != 200u + index;
}

static int looks(int count) {
    int wrong = 0;
    for (int i = 0; i < count; i++) wrong += look(i % 4);
    return wrong;
}

static volatile sig_atomic_t signals;

static void count_signal(int signal) {
    (void)signal;
    signals++;
}

// A handler without SA_RESTART must not be noticed by a call that real kernels do not interrupt.
static void interrupted(void) {
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval soon = {{0, 0}, {0, 100}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    int wrong = 0, seen = -1;
    for (int i = 0; signals < 300 || i < 2500; i++) {
        // One at a time: a slow machine would do nothing but deliver them.
        if (seen != signals) seen = signals, setitimer(ITIMER_REAL, &soon, NULL);
        wrong += look(i % 4);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("wrong %d, signals many\n", wrong);
}

// But what waits in the kernel, though by a call of which others wait for a listener, a signal ends.
static void waiting(void) {
    struct sigaction action = {.sa_handler = count_signal};
    // Again and again: the first may come before the open that it is to end.
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    int wrong = looks(500);
    check(mkfifo("fifo", 0666) == 0, "mkfifo");
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < 20; i++) {
        setitimer(ITIMER_REAL, &soon, NULL);
        wrong += open("fifo", O_RDONLY) != -1 || errno != EINTR;
        setitimer(ITIMER_REAL, &soon, NULL);
        wrong += open("fifo", O_WRONLY | O_CREAT, 0666) != -1 || errno != EINTR;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("wrong %d, signals %s\n", wrong, signals >= 40 ? "enough" : "too few");
}

static void *thread(void *result) {
    *(int *)result = looks(4000);
    return NULL;
}

static void threads(void) {
    pthread_t ids[4];
    int wrong[4] = {looks(100)};
    for (int i = 0; i < 4; i++) check(pthread_create(&ids[i], NULL, thread, &wrong[i]) == 0, "thread");
    for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
    printf("wrong %d %d %d %d\n", wrong[0], wrong[1], wrong[2], wrong[3]);
}

static void *own_links(void *result) {
    struct stat by_link, open_file, absent;
    int wrong = 0;
    for (int i = 0; i < 60; i++) {
        char path[64];
        int fd = open(NAMES[i % 4], O_RDONLY);
        snprintf(path, sizeof path, "/proc/thread-self/fd/%d", fd);
        wrong += stat(path, &by_link) != 0 || fstat(fd, &open_file) != 0 || by_link.st_ino != open_file.st_ino;
        wrong += by_link.st_uid != 100u + i % 4 || open_file.st_gid != 200u + i % 4;
        wrong += stat("/proc/self/nothing", &absent) == 0;
        close(fd);
    }
    *(int *)result = wrong;
    return NULL;
}

// What only the task itself can look at.
static void own(void) {
    int wrong[2];
    pthread_t id;
    looks(100);
    check(pthread_create(&id, NULL, own_links, &wrong[0]) == 0, "thread");
    own_links(&wrong[1]);
    pthread_join(id, NULL);
    printf("wrong %d %d\n", wrong[0], wrong[1]);
}

// The registers that a call leaves alone, after calls that took a stop.
static void registers(void) {
    int wrong = looks(100);
#ifdef __x86_64__
    struct stat found;
    for (int i = 0; i < 50; i++) {
        const char *paths[] = {"/proc/self/fd/0", "one", "/proc/self/nothing"};
        long result = SYS_stat;
        register long r8 __asm__("r8") = 0x1111, r9 __asm__("r9") = 0x2222, r10 __asm__("r10") = 0x3333;
        __asm__ volatile("syscall" : "+a"(result), "+r"(r8), "+r"(r9), "+r"(r10) : "D"(paths[i % 3]), "S"(&found) : "rcx", "r11", "memory");
        wrong += r8 != 0x1111 || r9 != 0x2222 || r10 != 0x3333 || (result != 0) != (i % 3 == 2);
    }
#else
    for (int i = 0; i < 50; i++) {
        const char *paths[] = {"/proc/self/fd/0", "one", "/proc/self/nothing"};
        struct stat64 found;
        int result = SYS_stat64, after;
        __asm__ volatile("push %%ebp; mov $0x2222, %%ebp; int $0x80; mov %%ebp, %1; pop %%ebp" : "+a"(result), "=S"(after) : "b"(paths[i % 3]), "c"(&found) : "memory");
        wrong += after != 0x2222 || (result != 0) != (i % 3 == 2);
    }
#endif
    printf("wrong %d\n", wrong);
}

static void killed(void) {
    int ended = 0;
    looks(100);
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;) looks(4);
        usleep(i * 50);
        kill(child, SIGKILL);
        ended += waitpid(child, NULL, 0) == child;
    }
    printf("ended %d, wrong %d\n", ended, looks(100));
}

static void children(void) {
    int wrong = 0, status;
    looks(100);
    for (int i = 0; i < 50; i++) {
        pid_t child = i % 2 ? vfork() : fork();
        if (child == 0) _exit(look(i % 4));
        check(waitpid(child, &status, 0) == child, "wait");
        wrong += status != 0;
    }
    printf("wrong %d\n", wrong);
}

static void dropped(void) {
    struct stat found;
    int wrong = looks(100);
    check(setresgid(6, 6, 6) == 0 && setresuid(5, 5, 5) == 0, "drop");
    for (int i = 0; i < 100; i++) wrong += getuid() != 5 || geteuid() != 5 || getgid() != 6;
    wrong += looks(100);
    for (int i = 0; i < 40; i++) {
        int fd = openat(AT_FDCWD, "new", O_CREAT | O_EXCL | O_WRONLY, 0600);
        wrong += fd < 0 || fstat(fd, &found) != 0 || found.st_uid != 5 || found.st_gid != 6;
        wrong += mkdir("newer", 0700) != 0 || stat("newer", &found) != 0 || found.st_uid != 5;
        wrong += symlink("one", "newest") != 0 || lstat("newest", &found) != 0 || found.st_gid != 6;
        close(fd);
        unlink("new"), rmdir("newer"), unlink("newest");
    }
    pid_t child = fork();
    if (child == 0) _exit(getuid() != 5 || looks(100) != 0);
    int status;
    waitpid(child, &status, 0);
    printf("wrong %d, child %d\n", wrong, status);
}

static void raised(void) {
    int wrong = 0;
    for (int i = 0; i < 50; i++) {
        wrong += seteuid(9) != 0 || geteuid() != 9 || look(i % 4);
        wrong += seteuid(0) != 0 || geteuid() != 0;
    }
    for (int i = 0; i < 100; i++) wrong += geteuid() != 0 || getuid() != 0;
    printf("wrong %d\n", wrong);
}

// A filter of its own, which forbids getppid.
static void sandboxed(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    struct stat by_link, itself;
    int wrong = looks(100);
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "filter");
    wrong += looks(100) + (syscall(SYS_getppid) != -1);
    int fd = open("two", O_RDONLY);
    wrong += stat("/proc/self/fd/3", &by_link) != 0 || fstat(fd, &itself) != 0 || by_link.st_ino != itself.st_ino;
    printf("wrong %d, owner %d %d\n", wrong, by_link.st_uid, itself.st_uid);
}

static const struct {
    const char *name;
    void (*run)(void);
} ALL[] = {
    {"interrupted", interrupted}, {"waiting", waiting}, {"threads", threads}, {"own", own},         {"registers", registers}, {"killed", killed},       {"children", children},
    {"dropped", dropped},         {"raised", raised},   {"sandboxed", sandboxed},
};

int main(int argc, char **argv) {
    for (int i = 0; i < 4; i++) give(i);
    chmod(".", 0777);
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (argc > 1 && strcmp(argv[1], ALL[i].name) == 0) return ALL[i].run(), 0;
    return 2;
}
