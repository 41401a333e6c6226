/* Job control: what a parent sees of a child that stops, continues and ends. With arguments the child
 * is that command, stopped and continued from outside. */
#include "guest.h"

static volatile sig_atomic_t continued;

static void on_continue(int signal)
{
    (void)signal;
    continued++;
}

static void report(pid_t child)
{
    siginfo_t info = {0};
    must(waitid(P_PID, child, &info, WSTOPPED | WCONTINUED | WEXITED) == 0);
    const char *names[] = {"?", "exited", "killed", "dumped", "trapped", "stopped", "continued"};
    say("%s %d, uid %d\n", names[info.si_code], info.si_status, info.si_uid);
}

static void stopping_child(void)
{
    struct sigaction action = {.sa_handler = on_continue};
    must(setpgid(0, 0) == 0);
    sigaction(SIGCONT, &action, NULL);
    raise(SIGSTOP);
    pause_ms(100); /* a stop would hide that it continued, and the parent speaks first */
    say("child: continued %d\n", (int)continued);
    raise(SIGTSTP);
    pause_ms(100);
    say("child: continued %d\n", (int)continued);
    int result = pause(), failure = errno;
    pause_ms(100);
    say("child: pause %d %s, continued %d\n", result, strerror(failure), (int)continued);
    raise(SIGTTIN);
    _exit(9);
}

static void *idle(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

int main(int argc, char **argv)
{
    pid_t child = fork();
    if (child == 0 && argc > 1) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child == 0)
        stopping_child();
    if (argc > 1) {
        pause_ms(400); /* it may be anywhere between its start and its end */
        for (int i = 0; i < 5; i++) {
            must(kill(child, SIGSTOP) == 0);
            report(child);
            must(kill(child, SIGCONT) == 0);
            report(child);
        }
        must(kill(child, SIGTERM) == 0);
        report(child);
        return 0;
    }
    for (int i = 0; i < 2; i++) { /* SIGSTOP, then SIGTSTP */
        report(child);
        must(kill(child, SIGCONT) == 0);
        report(child);
    }
    pause_ms(300);
    must(kill(child, SIGSTOP) == 0); /* while it is in pause(2) */
    report(child);
    must(kill(child, SIGCONT) == 0);
    report(child);
    report(child); /* SIGTTIN */
    must(kill(child, SIGKILL) == 0);
    report(child);
    child = fork();
    if (child == 0) {
        pthread_t t;
        for (int i = 0; i < 3; i++)
            must(pthread_create(&t, NULL, idle, NULL) == 0);
        idle(NULL);
    }
    pause_ms(100);
    must(kill(child, SIGSTOP) == 0); /* four threads stop as one */
    report(child);
    must(kill(child, SIGCONT) == 0);
    report(child);
    must(kill(child, SIGTERM) == 0);
    report(child);
    return 0;
}
