/* SIGSTOP and SIGCONT in turn at a process whose calls are answered: it goes on after each SIGCONT, and its parent is told of
   each stop. Argument: "drop" for one that has become another user, "give" for one that gives files away. */
#include "guest.h"
#include <sys/mman.h>

enum { PROCESSES = 40, TURNS = 30, DEADLINE_MS = 60000 };

static volatile long *done; /* how much each thread has done */
static int gives;

static void *work(void *argument)
{
    long thread = (long)argument;
    char file[16], link[16];
    snprintf(file, sizeof file, "f%ld", thread);
    snprintf(link, sizeof link, "l%ld", thread);
    for (;;) {
        close(open(file, O_CREAT | O_RDWR, 0644));
        if (gives) {
            chown(file, 3, done[thread] % 100);
            chmod(file, 04755);
        }
        symlink("x", link);
        unlink(link);
        unlink(file);
        done[thread]++;
    }
    return NULL;
}

static void go_on(int threads, int turn)
{
    for (int thread = 0; thread < threads; thread++) {
        long before = done[thread];
        for (int i = 0; done[thread] == before; i++) {
            if (i == DEADLINE_MS * 20) {
                say("turn %d: thread %d is stopped for ever\n", turn, thread);
                exit(98);
            }
            usleep(50);
        }
    }
}

/* Most calls are made in a process's place while it is new. */
static void turns(int threads, int *stops, int *continues)
{
    memset((void *)done, 0, 4096);
    pid_t pid = fork();
    if (pid == 0) {
        if (!gives && setresuid(5, 5, 5))
            _exit(97);
        for (long thread = 1; thread < threads; thread++) {
            pthread_t made;
            must(pthread_create(&made, NULL, work, (void *)thread) == 0);
        }
        work(0);
    }
    int status;
    for (int turn = 0; turn < TURNS; turn++) {
        int waits = turn % 10 == 9; /* until the stop is told */
        must(kill(pid, SIGSTOP) == 0);
        if (waits) {
            must(waitpid(pid, &status, WUNTRACED) == pid);
            *stops += WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
        } else {
            for (volatile int i = rand() % (rand() % 4 ? 40000 : 150000); i > 0; i--) {
            }
        }
        must(kill(pid, SIGCONT) == 0);
        if (waits) {
            must(waitpid(pid, &status, WCONTINUED) == pid);
            *continues += WIFCONTINUED(status);
        }
        go_on(threads, turn);
        while (waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG) > 0) {
        }
    }
    kill(pid, SIGKILL);
    must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int count, char **arguments)
{
    must(count == 3 && chdir(arguments[2]) == 0);
    chmod(".", 0777);
    gives = strcmp(arguments[1], "give") == 0;
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int stops = 0, continues = 0;
    for (int process = 0; process < PROCESSES; process++)
        turns(process % 2 ? 3 : 1, &stops, &continues);
    say("told of %d stops and %d continuations\n", stops, continues);
    return 0;
}
