/* Every way a task can be born: it starts with the ids of the task that made it, and what it changes
 * stays its own. The argument names the way. */
#include "guest.h"
#include <sys/mman.h>

extern char **environ;

static void child(void)
{
    /* By the library, which leaves the registers that the call does not need as they are. */
    struct stat found;
    int file = memfd_create("child", 0);
    must(file >= 0);
    int given = fchown(file, 3, 3);
    say("its file: %s\n", given == 0 ? "given" : strerror(errno));
    must(fstat(file, &found) == 0);
    if (given == 0)
        say("now %d %d\n", found.st_uid, found.st_gid);
    close(file);
    say_ids("child before");
    syscall(SYS_setresuid, -1, 0, -1);
    syscall(SYS_setresgid, 8, 8, 8);
    say_ids("child after");
}

static int child_of_clone(void *unused)
{
    (void)unused;
    child();
    return 4;
}

static void *thread(void *unused)
{
    (void)unused;
    child();
    return NULL;
}

/* The structure on a page that cannot be written. */
static pid_t clone3_of_constants(void)
{
    struct clone_args *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(args != MAP_FAILED);
    *args = (struct clone_args){.flags = CLONE_UNTRACED, .exit_signal = SIGCHLD};
    must(mprotect(args, 4096, PROT_READ) == 0);
    pid_t born = syscall(SYS_clone3, args, sizeof *args);
    must(args->flags == CLONE_UNTRACED);
    return born;
}

static pid_t clone3(uint64_t flags)
{
    struct clone_args args = {.flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD};
    pid_t born = syscall(SYS_clone3, &args, sizeof args);
    must(born == 0 || args.flags == flags);
    return born;
}

/* A sibling made with CLONE_PARENT by a child, which then ends. */
static void sibling(void)
{
    pid_t grandparent = getpid(), middle = fork();
    if (middle == 0) {
        must(syscall(SYS_setresuid, -1, 0, -1) == 0 && syscall(SYS_setresuid, 9, 0, 0) == 0);
        pid_t born = clone3(CLONE_PARENT);
        if (born == 0) {
            say("born to the grandparent: %d\n", getppid() == grandparent);
            child();
            _exit(5);
        }
        must(born > 0);
        _exit(6);
    }
    int ends = 0, status;
    for (int i = 0; i < 2; i++) {
        must(waitpid(-1, &status, __WALL) > 0);
        ends += WEXITSTATUS(status);
    }
    say("both ended: %d\n", ends);
}

int main(int argc, char **argv)
{
    static char stack[65536] __attribute__((aligned(16)));
    const char *way = argc > 1 ? argv[1] : "";
    if (!strcmp(way, "exec'ed")) {
        child();
        return 7;
    }
    if (argc > 2) {
        /* Somebody is somebody else, or something has an owner. */
        int file = memfd_create("parent", 0);
        must(!strcmp(argv[2], "owned") ? fchown(file, 3, 3) == 0 : setgid(0) == 0);
    } else {
        must(setresgid(1, 2, 3) == 0);
        must(setresuid(4, 5, 0) == 0);
    }
    pid_t born = 0;
    if (!strcmp(way, "fork")) {
        born = fork();
    } else if (!strcmp(way, "vfork")) {
        born = vfork();
    } else if (!strcmp(way, "clone")) {
        born = clone(child_of_clone, stack + sizeof stack, CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
    } else if (!strcmp(way, "untraced")) {
        born = clone(child_of_clone, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, NULL);
    } else if (!strcmp(way, "memory")) {
        born = clone(child_of_clone, stack + sizeof stack, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
    } else if (!strcmp(way, "clone3")) {
        born = clone3(0);
    } else if (!strcmp(way, "untraced clone3")) {
        born = clone3(CLONE_UNTRACED);
    } else if (!strcmp(way, "untraced vfork of clone3")) {
        born = clone3(CLONE_UNTRACED | CLONE_VFORK);
    } else if (!strcmp(way, "untraced clone3 of constants")) {
        born = clone3_of_constants();
    } else if (!strcmp(way, "spawn")) {
        char *args[] = {argv[0], "exec'ed", NULL};
        must(posix_spawn(&born, "/proc/self/exe", NULL, NULL, args, environ) == 0);
    } else if (!strcmp(way, "thread")) {
        pthread_t t;
        must(pthread_create(&t, NULL, thread, NULL) == 0);
        must(pthread_join(t, NULL) == 0);
    } else if (!strcmp(way, "parent")) {
        sibling();
    } else {
        return 98;
    }
    if (born == 0 && (!strcmp(way, "fork") || !strcmp(way, "vfork") || strstr(way, "clone3"))) {
        child();
        _exit(3);
    }
    if (born != 0)
        say_end("child", born);
    say_ids("parent");
    return 0;
}
