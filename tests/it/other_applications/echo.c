/* Says how many bytes of content each request has: a program with libfcgi, whose arguments are the address and the number of
   its processes. */
#include <fcgiapp.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    FCGX_Request request;
    int listening, processes;
    if (count != 3 || FCGX_Init() != 0)
        return 2;
    listening = FCGX_OpenSocket(arguments[1], 100);
    if (listening < 0)
        return 1;
    for (processes = atoi(arguments[2]); processes > 1 && fork() != 0; processes--)
        ;
    FCGX_InitRequest(&request, listening, 0);
    while (FCGX_Accept_r(&request) == 0) {
        char part[4096];
        int length = 0, read;
        while ((read = FCGX_GetStr(part, sizeof part, request.in)) > 0)
            length += read;
        FCGX_FPrintF(request.out, "Content-Type: text/plain\r\n\r\n%d", length);
        FCGX_Finish_r(&request);
    }
    return 0;
}
