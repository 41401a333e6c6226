/* What is loaded for all threads of a process is had by those that its threads make then, and by their children, whoever of
   them had last stopped. Argument: a directory. */
#include "guest.h"
#include <sys/xattr.h>

enum { LOOKS = 300 };

static char *file;
static int up[2];

static void *look_often(void *unused)
{
    (void)unused;
    struct stat found;
    for (int i = 0; i < LOOKS; i++) {
        lstat(file, &found);
        llistxattr(file, NULL, 0);
        lchown(file, 0, 0);
        chmod(file, 0644);
    }
    must(write(up[1], "x", 1) == 1);
    return NULL;
}

static void ask(const char *who)
{
    struct stat found;
    long listed = llistxattr(file, NULL, 0);
    int given = lchown(file, 5, 6);
    int looked = lstat(file, &found);
    say("%s: listed %ld, given %d, looked %d, owner %d:%d\n", who, listed, given, looked, found.st_uid, found.st_gid);
    must(lchown(file, 0, 0) == 0);
}

static void *ask_once(void *unused)
{
    (void)unused;
    ask("a thread");
    pid_t child = fork();
    if (child == 0) {
        ask("its child");
        _exit(0);
    }
    say_end("its child", child);
    return NULL;
}

int main(int count, char **arguments)
{
    must(count == 2 && chdir(arguments[1]) == 0);
    alarm(50); /* a call that is never answered */
    file = "file";
    close(open(file, O_CREAT | O_RDWR, 0644));
    close(open("given", O_CREAT | O_RDWR, 0644));
    must(chown("given", 5, 6) == 0 && pipe(up) == 0);
    pthread_t often, once;
    char byte;
    must(pthread_create(&often, NULL, look_often, NULL) == 0);
    must(read(up[0], &byte, 1) == 1); /* this thread has not stopped since */
    must(pthread_create(&once, NULL, ask_once, NULL) == 0);
    must(pthread_join(once, NULL) == 0 && pthread_join(often, NULL) == 0);
    return 0;
}
