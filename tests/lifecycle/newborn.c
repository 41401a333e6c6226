/* Signals to a process that was born a moment ago: each arrives, whatever the newborn is doing. */
#include "guest.h"

enum { ROUNDS = 150 };

static volatile sig_atomic_t caught;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    caught += info->si_value.sival_int;
}

static pid_t born(void (*child)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        child();
        _exit(0);
    }
    must(pid > 0);
    return pid;
}

static void wait_for_signal(void)
{
    for (;;)
        pause();
}

static void count_to_seven(void)
{
    while (caught != 7)
        sched_yield();
    say_ids(caught == 7 ? "" : "?");
}

static void end(void)
{
    syscall(SYS_setresuid, 5, 5, 5);
    _exit(getuid() == 5 ? 3 : 4);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &action, NULL);
    int status, terminated = 0, killed = 0, stopped = 0, continued = 0, ended = 0, counted = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = born(wait_for_signal);
        must(kill(pid, SIGTERM) == 0);
        must(waitpid(pid, &status, 0) == pid);
        terminated += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;

        pid = born(wait_for_signal);
        must(kill(pid, SIGKILL) == 0);
        must(waitpid(pid, &status, 0) == pid);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

        pid = born(wait_for_signal);
        must(kill(pid, SIGSTOP) == 0);
        must(waitpid(pid, &status, WUNTRACED) == pid);
        stopped += WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
        must(kill(pid, SIGCONT) == 0);
        must(waitpid(pid, &status, WCONTINUED) == pid);
        continued += WIFCONTINUED(status);
        must(kill(pid, SIGKILL) == 0);
        must(waitpid(pid, &status, 0) == pid);

        pid = born(end); /* stopped and continued at once: it ends as if nothing had been */
        kill(pid, SIGSTOP), kill(pid, SIGCONT);
        must(waitpid(pid, &status, 0) == pid);
        ended += WIFEXITED(status) && WEXITSTATUS(status) == 3;

        pid = born(count_to_seven);
        must(sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = 3}) == 0);
        must(sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = 4}) == 0);
        must(waitpid(pid, &status, 0) == pid);
        counted += WIFEXITED(status);
    }
    say("terminated %d killed %d stopped %d continued %d ended %d counted %d\n", terminated, killed, stopped, continued,
        ended, counted);
    return 0;
}
