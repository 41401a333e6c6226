// Loops whose cost the benchmark compares: `work NAME SECONDS` goes on for about so long, and prints the nanoseconds of one
// round and how many there were.
// Names that begin with "dropped-" first change to another user, where that is possible: in a bare one-id namespace it
// is not, and the loop runs as it is. Names that begin with "given-" first give a file away, with the same proviso.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void fork_once(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    check(child > 0 && waitpid(child, NULL, 0) == child, "fork");
}

static void spawn_once(void) {
    pid_t child;
    char *words[] = {"true", NULL}, *none[] = {NULL};
    check(posix_spawn(&child, "/usr/bin/true", NULL, NULL, words, none) == 0, "posix_spawn");
    check(waitpid(child, NULL, 0) == child, "waitpid");
}

static void *nothing(void *argument) { return argument; }

static void thread_once(void) {
    pthread_t thread;
    check(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

// As programs do, so that a side that puts a library of its own before theirs answers too.
static void getuid_once(void) { check(getuid() != (uid_t)-1, "getuid"); }

static void getppid_once(void) { syscall(SYS_getppid); }

static void stat_once(void) {
    struct stat found;
    check(stat("/", &found) == 0, "stat");
}

static char given[4096];

static void own_stat_once(void) {
    struct stat found;
    check(stat(given, &found) == 0, "stat");
}

static void forget_given(void) { unlink("bench.given"); }

static void read_once(void) {
    static int zero = -1;
    char byte;
    if (zero < 0) check((zero = open("/dev/zero", O_RDONLY)) >= 0, "/dev/zero");
    check(read(zero, &byte, 1) == 1, "read");
}

static void open_once(void) {
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    check(fd >= 0, "open");
    close(fd);
}

static void create_once(void) {
    int fd = open("bench.created", O_CREAT | O_WRONLY, 0600);
    check(fd >= 0, "create");
    close(fd);
    check(unlink("bench.created") == 0, "unlink");
}

static const struct {
    const char *name;
    void (*once)(void);
} WORK[] = {
    {"fork", fork_once},     {"spawn", spawn_once},   {"thread", thread_once},     {"getuid", getuid_once},
    {"getppid", getppid_once}, {"stat", stat_once},   {"own-stat", own_stat_once}, {"read", read_once},
    {"open", open_once},     {"create", create_once},
};

// Failure of these is the bare namespace's answer, see above.
static const char *prepare(const char *name) {
    if (strncmp(name, "dropped-", 8) == 0) {
        gid_t group = 1000;
        if (setgroups(1, &group) != 0 || setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) (void)0;
        return name + 8;
    }
    if (strncmp(name, "given-", 6) == 0) {
        int fd = open("bench.given", O_CREAT | O_WRONLY, 0600);
        check(fd >= 0, "bench.given");
        if (fchown(fd, 1000, 1000) != 0) (void)0;
        close(fd);
        check(realpath("bench.given", given) != NULL, "realpath");
        if (strcmp(name, "given-own-stat") != 0) forget_given();
        atexit(forget_given);
        return name + 6;
    }
    return name;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

// As many rounds as fit: a call that takes 100 ns on one side may take 100 µs on another.
static void measure(void (*once)(void), double limit) {
    double from = now(), took = 0;
    long rounds = 0;
    for (long more = 1; took < limit; more = rounds) {
        for (long n = 0; n < more; n++) once();
        rounds += more;
        took = now() - from;
        if (took > limit / 2) break; // to double them again would take too long
    }
    printf("%.1f %ld\n", took / rounds, rounds);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    const char *name = prepare(argv[1]);
    for (size_t i = 0; i < sizeof WORK / sizeof *WORK; i++) {
        if (strcmp(WORK[i].name, name) != 0) continue;
        WORK[i].once();
        measure(WORK[i].once, atof(argv[2]) * 1e9);
        return 0;
    }
    return 2;
}
