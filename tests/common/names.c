/* Preloaded into a process, this makes every look-up of a host name fail with NAMES_ERROR. */
#include <netdb.h>
#include <stdlib.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    return atoi(getenv("NAMES_ERROR"));
}
