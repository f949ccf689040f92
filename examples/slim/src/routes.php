<?php

declare(strict_types=1);

// Every address of the application. `$this` in a route is the container.

use Example\Upload;
use Slim\App;
use Slim\Http\NonBufferedBody;
use Slim\Http\Request;
use Slim\Http\Response;

const JSON_READABLE = JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;

/** What /json shows of $_SERVER, as far as it is there. */
const SHOWN = [
    'GATEWAY_INTERFACE', 'SERVER_SOFTWARE', 'SERVER_PROTOCOL', 'SERVER_NAME', 'SERVER_ADDR', 'SERVER_PORT',
    'REQUEST_SCHEME', 'HTTPS', 'REMOTE_ADDR', 'REMOTE_PORT', 'REQUEST_METHOD', 'REQUEST_URI', 'QUERY_STRING',
    'DOCUMENT_ROOT', 'DOCUMENT_URI', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_INFO', 'PATH_TRANSLATED', 'PHP_SELF',
    'CONTENT_TYPE', 'CONTENT_LENGTH', 'HTTP_HOST', 'HTTP_USER_AGENT', 'HTTP_ACCEPT',
];

return function (App $app): void {
    $app->get('/', function (Request $request, Response $response): Response {
        return $this->view->page($response, 'home', ['title' => 'Slim behind fcgate', 'server' => $request->getServerParams()]);
    });

    $app->get('/hello/{name}', function (Request $request, Response $response, array $args): Response {
        return $this->view->page($response, 'hello', ['title' => 'Hello', 'name' => $args['name']]);
    });

    $app->get('/form', function (Request $request, Response $response): Response {
        return $this->view->page($response, 'form', ['title' => 'Form']);
    });

    $app->post('/form', function (Request $request, Response $response): Response {
        // A field can also be an array (name[]=…) or missing: both are read as empty.
        $field = fn (string $key): string => is_string($value = $request->getParsedBodyParam($key)) ? $value : '';
        return $this->view->page($response, 'form', ['title' => 'Form', 'name' => $field('name'), 'message' => $field('message')]);
    });

    $app->get('/upload', function (Request $request, Response $response): Response {
        return $this->view->page($response, 'upload', ['title' => 'Upload']);
    });

    $app->post('/upload', function (Request $request, Response $response): Response {
        $upload = Upload::describe($request->getUploadedFiles()['file'] ?? null);
        $status = isset($upload['error']) ? 400 : 200;
        return $this->view->page($response->withStatus($status), 'upload', ['title' => 'Upload', 'upload' => $upload]);
    });

    // The body is Slim's copy of php://input, on disk when it is large. A form (multipart, urlencoded) is read by
    // PHP itself: send other types here, such as application/octet-stream.
    $app->map(['PUT', 'POST'], '/hash', function (Request $request, Response $response): Response {
        $hash = hash_init('sha256');
        $bytes = hash_update_stream($hash, $request->getBody()->detach());
        return $response->withJson(['bytes' => $bytes, 'sha256' => hash_final($hash)]);
    });

    $app->any('/json', function (Request $request, Response $response): Response {
        return $response->withJson([
            'method' => $request->getOriginalMethod(),
            'query' => (object) $request->getQueryParams(),
            'server' => array_intersect_key($request->getServerParams(), array_flip(SHOWN)),
        ], null, JSON_READABLE);
    });

    // Ten lines in a second; NonBufferedBody sends and flushes what is written to it at once.
    $app->get('/stream', function (Request $request, Response $response): Response {
        $response = $response->withBody(new NonBufferedBody())->withHeader('Content-Type', 'text/plain; charset=utf-8');
        for ($line = 1; $line <= 10; $line++) {
            $response->getBody()->write("line $line of 10\n");
            usleep(100_000);
        }
        return $response;
    });

    $app->get('/error', function (): Response {
        throw new RuntimeException('the example fails on purpose');
    });
};
