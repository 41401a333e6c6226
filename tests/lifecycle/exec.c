/* exec: from a thread that is not the leader the process keeps its id, the other threads vanish, and the
 * credentials are those of the thread that called. */
#include "guest.h"

static char leader[16];
static int go;

static void *call_exec(void *argument)
{
    if (argument) {
        must(syscall(SYS_setresgid, 8, 8, 8) == 0);
        must(syscall(SYS_setresuid, 7, 7, 7) == 0);
        say_ids("thread");
    }
    while (!argument && !__atomic_load_n(&go, __ATOMIC_ACQUIRE)) {
    }
    execl("/proc/self/exe", "exec", "after", leader, NULL);
    return NULL;
}

static int after(pid_t expected)
{
    say("same process: %d, leader: %d\n", getpid() == expected, gettid() == getpid());
    struct stat task;
    must(stat("/proc/self/task", &task) == 0);
    say("tasks: %d\n", (int)task.st_nlink - 2);
    say_ids("after");
    pid_t child = fork();
    if (child == 0) {
        say_ids("child");
        _exit(2);
    }
    say_end("child", child);
    return 5;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "after"))
        return after(atoi(argv[2]));
    snprintf(leader, sizeof leader, "%d", getpid());
    pthread_t t;
    if (argc == 2 && !strcmp(argv[1], "race")) {
        for (int i = 0; i < 4; i++)
            must(pthread_create(&t, NULL, call_exec, NULL) == 0);
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
    } else {
        must(pthread_create(&t, NULL, call_exec, leader) == 0);
    }
    for (;;)
        pause();
}
