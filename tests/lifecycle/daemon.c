/* A daemon outlives the command that started it, and is answered all the same. The argument is where it
 * writes what it found. */
#include "guest.h"

int main(int argc, char **argv)
{
    must(argc == 2);
    pid_t command = getpid(), middle = fork();
    if (middle == 0) {
        must(setsid() > 0);
        if (fork() != 0)
            _exit(0);
        int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int null = open("/dev/null", O_RDWR);
        must(out >= 0 && null >= 0);
        dup2(null, 0), dup2(out, 1), dup2(null, 2);
        while (kill(command, 0) == 0)
            pause_ms(5);
        pause_ms(100);
        must(setgroups(0, NULL) == 0);
        must(setresgid(6, 6, 6) == 0);
        must(setresuid(5, 5, 5) == 0);
        say_ids("daemon");
        say("back to root: %d\n", setuid(0));
        pid_t child = fork();
        if (child == 0) {
            say_ids("child");
            _exit(3);
        }
        say_end("child", child);
        say("end\n");
        _exit(0);
    }
    must(waitpid(middle, NULL, 0) == middle);
    say("started\n");
    return 0;
}
