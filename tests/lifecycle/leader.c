/* The leader ends before its threads: the process lives on, changes its ids, has children, and ends with
 * the status of the thread that calls exit_group. */
#include "guest.h"

static void *survivor(void *unused)
{
    (void)unused;
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", getpid(), getpid());
    for (int i = 0; i < 60000 && state != 'Z'; i++) {
        pause_ms(1);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%*d %*s %c", &state) != 1)
            state = 0;
        if (f)
            fclose(f);
    }
    say("the leader is %c\n", state);
    must(syscall(SYS_setresuid, 7, 7, 7) == 0);
    say_ids("survivor");
    pid_t child = fork();
    if (child == 0) {
        say_ids("child");
        _exit(2);
    }
    say_end("child", child);
    syscall(SYS_exit_group, 6);
    return NULL;
}

int main(void)
{
    pid_t process = fork();
    if (process == 0) {
        pthread_t t;
        must(pthread_create(&t, NULL, survivor, NULL) == 0);
        syscall(SYS_exit, 1);
    }
    say_end("process", process);
    return 0;
}
