/* A process all of whose threads have ended, and that is still there: who traces one of them has not waited for it. The
 * first fact has everybody looked for. */
#include "../lifecycle/guest.h"
#include <sys/mman.h>
#include <sys/ptrace.h>

static volatile pid_t *second;

static void *thread(void *argument)
{
    (void)argument;
    *second = (pid_t)syscall(SYS_gettid);
    while (*second > 0)
        sched_yield();
    syscall(SYS_exit, 0);
    return NULL;
}

static int has_ended(pid_t process, pid_t task)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", process, task);
    int fd = open(path, O_RDONLY);
    must(fd >= 0 && read(fd, line, sizeof line - 1) > 0 && close(fd) == 0);
    return strrchr(line, ')')[2] == 'Z';
}

int main(int argc, char **argv)
{
    must(argc == 2);
    second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t t;
        pthread_create(&t, NULL, thread, NULL);
        syscall(SYS_exit, 0);
    }
    while (*second == 0)
        sched_yield();
    pid_t task = *second;
    must(ptrace(PTRACE_SEIZE, task, 0, 0) == 0);
    *second = -1;
    while (!has_ended(child, child) || !has_ended(child, task))
        sched_yield();
    struct stat st;
    must(chown(argv[1], 5, 6) == 0 && stat(argv[1], &st) == 0);
    say("owner %d:%d\n", st.st_uid, st.st_gid);
    int status;
    must(waitpid(task, &status, __WALL) == task && waitpid(child, &status, __WALL) == child);
    return 0;
}
