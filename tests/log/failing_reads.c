/* Reads of the file FAIL_PATH fail with the errno FAIL_ERRNO, or end early when that is 0: FAIL_TIMES of them, after FAIL_AFTER good ones. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int seen;

static int struck(int fd) {
    char link[64], name[PATH_MAX + 1];
    ssize_t length;
    int first = atoi(getenv("FAIL_AFTER")), times = atoi(getenv("FAIL_TIMES"));
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, name, PATH_MAX);
    if (length < 0) return 0;
    name[length] = 0;
    if (strcmp(name, getenv("FAIL_PATH"))) return 0;
    seen++;
    return seen > first && seen <= first + times;
}

static ssize_t failed(void) {
    errno = atoi(getenv("FAIL_ERRNO"));
    return errno ? -1 : 0;
}

ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    return struck(fd) ? failed() : real(fd, to, size, at);
}

ssize_t pread(int fd, void *to, size_t size, off_t at) {
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread");
    return struck(fd) ? failed() : real(fd, to, size, at);
}
