/* SIGCHLD by default, ignored, and without waiting: the kernel's own rules hold for traced children. */
#include "guest.h"

static volatile sig_atomic_t seen;

static void on_child(int signal)
{
    (void)signal;
    seen++;
}

static pid_t child(int status)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(status);
    return pid;
}

int main(void)
{
    for (int i = 0; i < 20; i++)
        say_end("default", child(i));
    signal(SIGCHLD, SIG_IGN);
    say_end("ignored", child(1));
    struct sigaction no_wait = {.sa_handler = on_child, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &no_wait, NULL);
    pid_t pid = child(1);
    int result;
    while ((result = waitpid(pid, NULL, 0)) == -1 && errno == EINTR) {
    }
    say("no wait: %d %s, told %d\n", result, strerror(errno), (int)seen);
    struct sigaction no_stop = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART};
    sigaction(SIGCHLD, &no_stop, NULL);
    seen = 0;
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(1);
    }
    int status;
    must(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    say("stopped, told %d\n", (int)seen);
    kill(pid, SIGCONT);
    say_end("continued", pid);
    say("told %d\n", (int)seen);
    result = waitpid(-1, NULL, WNOHANG);
    say("nobody left: %d %s\n", result, strerror(errno));
    result = waitpid(-1, NULL, WNOHANG | __WALL);
    say("really nobody: %d %s\n", result, strerror(errno));
    return 0;
}
