/* RLIMIT_NPROC: what is told of it, and whom it holds. */
#include "guest.h"

/* Users of this run's own: natively all runs of a machine share theirs. */
static uid_t first;
static uid_t a_user(int nth) { return first + nth; }

static void say_limit(const char *who)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NPROC, &limit) == 0);
    say("%s: %ld %ld\n", who, (long)limit.rlim_cur, (long)limit.rlim_max);
}

static int set(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    return setrlimit(RLIMIT_NPROC, &limit) == 0 ? 0 : errno;
}

/* How many children that live can be made, up to so many. */
static int born(int most)
{
    pid_t all[64];
    int count = 0;
    while (count < most && (all[count] = fork()) >= 0) {
        if (all[count] == 0) {
            pause();
            _exit(0);
        }
        count++;
    }
    int because = count < most ? errno : 0;
    for (int i = 0; i < count; i++) {
        kill(all[i], SIGKILL);
        must(waitpid(all[i], NULL, 0) == all[i]);
    }
    say("%d children, then: %s\n", count, because ? strerror(because) : "enough");
    return count;
}

static void *nothing(void *unused) { return unused; }

/* Until a thread that was joined is gone for the kernel too. */
static void wait_until_alone(void)
{
    struct stat tasks;
    for (int i = 0; i < 60000; i++) {
        must(stat("/proc/self/task", &tasks) == 0);
        if (tasks.st_nlink <= 3)
            return;
        pause_ms(1);
    }
}

static void user(uid_t uid)
{
    if (fork() == 0) {
        must(syscall(SYS_setresgid, uid, uid, uid) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0);
        say_limit("user");
        born(12);
        pthread_t thread;
        int failed = pthread_create(&thread, NULL, nothing, NULL);
        say("a thread: %s\n", strerror(failed));
        if (!failed)
            must(pthread_join(thread, NULL) == 0);
        wait_until_alone();
        say("raised: %s\n", strerror(set(20, 200)));
        say("lowered: %s\n", strerror(set(1, 100)));
        say_limit("user");
        born(2);
        failed = pthread_create(&thread, NULL, nothing, NULL);
        say("a thread: %s\n", strerror(failed));
        say("wrong: %s\n", strerror(set(9, 8)));
        say("anew: %s\n", strerror(set(3, 50)));
        born(9);
        _exit(0);
    }
    must(wait(NULL) > 0);
}

/* One whom another has set the limit is held at once. */
static void held_at_once(void)
{
    int go[2];
    char word;
    must(pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        must(read(go[0], &word, 1) == 1);
        must(syscall(SYS_setresuid, a_user(3), a_user(3), a_user(3)) == 0);
        say_limit("set by another");
        born(3);
        _exit(0);
    }
    struct rlimit limit = {2, 50};
    close(go[0]);
    must(prlimit(child, RLIMIT_NPROC, &limit, NULL) == 0);
    must(write(go[1], "x", 1) == 1);
    say_end("held", child);
    close(go[1]);
}

/* Who becomes a user who has too many tasks executes nothing until that has fewer. */
static void exec_after_setuid(void)
{
    pid_t others[3];
    int ready[2];
    char word;
    must(pipe(ready) == 0);
    for (int i = 0; i < 3; i++)
        if ((others[i] = fork()) == 0) {
            must(syscall(SYS_setresuid, a_user(4), a_user(4), a_user(4)) == 0);
            must(write(ready[1], "x", 1) == 1);
            for (;;)
                pause();
        }
    for (int i = 0; i < 3; i++)
        must(read(ready[0], &word, 1) == 1);
    char *quiet[] = {"sh", "-c", "exit 7", NULL};
    for (rlim_t soft = 1; soft <= 4; soft++) {
        pid_t child = fork();
        if (child == 0) {
            must(set(soft, 100) == 0);
            say("becoming: %s\n", strerror(syscall(SYS_setresuid, a_user(4), a_user(4), a_user(4)) ? errno : 0));
            execv("/bin/sh", quiet);
            say("with %ld: %s\n", (long)soft, strerror(errno));
            execv("/nonexistent", quiet);
            say("what is not there: %s\n", strerror(errno));
            must(set(50, 100) == 0);
            execv("/bin/sh", quiet);
            _exit(9);
        }
        say_end("with a limit", child);
    }
    for (int i = 0; i < 3; i++) {
        kill(others[i], SIGKILL);
        must(waitpid(others[i], NULL, 0) == others[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "higher")) {
        /* Who has CAP_SYS_RESOURCE may, which a container's root may lack. */
        must(set(2, 3) == 0);
        say("higher: %s\n", strerror(set(3, 4)));
        say_limit("root");
        return 0;
    }
    if (argc > 1) {
        say_limit(argv[1]);
        born(3);
        return 0;
    }
    first = 100000 + 8 * getpid();
    held_at_once();
    exec_after_setuid();
    must(set(8, 100) == 0);
    say_limit("root");
    born(12);
    user(a_user(1));
    user(a_user(2));
    must(set(2, 2) == 0);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "nproc", "after exec", NULL);
        _exit(9);
    }
    say_end("child", child);
    /* Another's. */
    struct rlimit limit = {1, 2}, old;
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    must(prlimit(child, RLIMIT_NPROC, &limit, &old) == 0);
    say("before: %ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
    must(prlimit(child, RLIMIT_NPROC, NULL, &old) == 0);
    say("then: %ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
    say_limit("own");
    pid_t other = fork();
    if (other == 0) {
        must(syscall(SYS_setresuid, 5, 5, 5) == 0);
        say("root's: %s\n", prlimit(child, RLIMIT_NPROC, NULL, &old) ? strerror(errno) : "told");
        say("root's: %s\n", prlimit(child, RLIMIT_NPROC, &limit, NULL) ? strerror(errno) : "set");
        _exit(0);
    }
    must(waitpid(other, NULL, 0) == other);
    kill(child, SIGKILL);
    must(waitpid(child, NULL, 0) == child);
    return 0;
}
