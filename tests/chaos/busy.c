/* Processes with threads that give files away, become others, look, and start programs, without end. Whatever is answered
   wrong is told and ends it all. Arguments: processes, threads. */
#include "../lifecycle/guest.h"
#include <sys/mman.h>

static void wrong(const char *what, long got)
{
    say("WRONG: %s %ld (%s)\n", what, got, strerror(errno));
    kill(0, SIGKILL);
}

static void give(long number)
{
    char file[32];
    struct stat found;
    snprintf(file, sizeof file, "f%d.%ld", getpid(), number);
    int fd = open(file, O_CREAT | O_RDWR, 0644);
    if (fd < 0)
        wrong("open", fd);
    close(fd);
    for (unsigned owner = 1; owner < 4; owner++) {
        if (chown(file, owner, owner + 1) != 0)
            wrong("chown", owner);
        if (stat(file, &found) != 0 || found.st_uid != owner || found.st_gid != owner + 1)
            wrong("owner", found.st_uid);
    }
    if (unlink(file) != 0)
        wrong("unlink", 0);
}

/* Whether a child has ended well, or was killed from outside. */
static int is_well(pid_t child)
{
    int status;
    return waitpid(child, &status, 0) == child && (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

static void drop(void)
{
    pid_t child = fork();
    if (child == 0) {
        uid_t real, effective, saved;
        if (setresuid(5, 6, 7) != 0)
            wrong("setresuid", 0);
        if (getresuid(&real, &effective, &saved) != 0 || real != 5 || effective != 6 || saved != 7)
            wrong("getresuid", real);
        if (setuid(0) == 0)
            wrong("setuid", 0);
        _exit(0);
    }
    if (child > 0 && !is_well(child))
        wrong("child", child);
}

static void start(void)
{
    char *arguments[] = {"sh", "-c", "u=$(id -u); test -z \"$u\" || test $u = 0", NULL}; /* id may be killed */
    pid_t child;
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, NULL) == 0 && !is_well(child))
        wrong("program", child);
}

static void *work(void *argument)
{
    long number = (long)argument;
    for (long turn = 0;; turn++) {
        give(number);
        if (turn % 4 == number % 4)
            drop();
        if (turn % 8 == number % 8)
            start();
        if (turn == 1)
            say("up\n");
    }
    return NULL;
}

int main(int count, char **arguments)
{
    must(count == 3);
    for (int process = 1; process < atoi(arguments[1]); process++)
        if (fork() == 0)
            break;
    for (long thread = 1; thread < atoi(arguments[2]); thread++) {
        pthread_t made;
        must(pthread_create(&made, NULL, work, (void *)thread) == 0);
    }
    work(0);
}
