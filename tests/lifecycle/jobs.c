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

/* A stop would hide that it continued, and the parent speaks first. */
static int turns[2], ready[2];

static void wait_for(int pipe)
{
    char byte;
    must(read(pipe, &byte, 1) == 1);
}

static void give_turn(void) { must(write(turns[1], "", 1) == 1); }

static void stopping_child(void)
{
    struct sigaction action = {.sa_handler = on_continue};
    sigset_t held, none;
    must(setpgid(0, 0) == 0);
    sigaction(SIGCONT, &action, NULL);
    raise(SIGSTOP);
    wait_for(turns[0]);
    say("child: continued %d\n", (int)continued);
    raise(SIGTSTP);
    wait_for(turns[0]);
    say("child: continued %d\n", (int)continued);
    sigemptyset(&held), sigemptyset(&none);
    sigaddset(&held, SIGCONT);
    sigprocmask(SIG_BLOCK, &held, NULL); /* it is stopped and continued in sigsuspend(2), or just before that */
    say("child: suspends itself\n");
    must(write(ready[1], "", 1) == 1);
    int result = sigsuspend(&none), failure = errno;
    wait_for(turns[0]);
    say("child: suspended %d %s, continued %d\n", result, strerror(failure), (int)continued);
    raise(SIGTTIN);
    _exit(9);
}

/* Waits until a child sleeps. */
static void until_asleep(pid_t child)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    while (state != 'S') {
        pause_ms(50);
        FILE *stat = fopen(path, "r");
        must(stat != NULL && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1);
        fclose(stat);
    }
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
    must(pipe(turns) == 0 && pipe(ready) == 0);
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
        give_turn();
    }
    wait_for(ready[0]);
    until_asleep(child);
    must(kill(child, SIGSTOP) == 0);
    report(child);
    must(kill(child, SIGCONT) == 0);
    report(child);
    give_turn();
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
